"""The operator's console: how everything stands, and never a single person's answer.

Each module knows only those before it:

first_steps   how to begin
ledger        entries, checkpoints, proofs
lake          what lies where, and what was set aside
snapshots     what was kept and dropped, by reason
runs          long work, live
models        audits, cards, releases
forgettings   what is due
home          the first page
"""
