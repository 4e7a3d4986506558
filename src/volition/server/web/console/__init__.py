"""The console of those who run the service. It never shows a single person's answer; the evidence bundle has them.

Each module knows only those before it:

first_steps   the first steps in a new workspace
entry_words   what an entry says, in plain words
ledger        entries, checkpoints, proofs
evidence      the bundle that an audit takes
people        names heard that may be somebody registered
lake          records in counts, and what was set aside
snapshots     what was kept and dropped, by reason
runs          background jobs, live
models        audits, cards, releases
forgettings   what is due
guests        guests' links
terms         what was published, and how far the notice of each has come
home          the first page
"""
