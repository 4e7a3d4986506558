"""Verifying: evidence is checked offline, with the log's public key alone. What is read here was written by others.

Whatever is wrong is a check that fails, with a name and a sentence that says which lie it is; never a crash. What was
written in another than its one form is refused, so that no two readers see two things. What nobody can check offline is
told as claimed, never as holding.

Each module knows only those before it:

checks        one check, and what all of them together say
forms         the one form in which everything is written
archive       the zip of a bundle
log           a signed checkpoint, and the entries that it commits to
bodies        what entries say, each field of its one type
identities    one person under several identities: what one of them refused
looked        who looked at a person's data: one line, and the days of the whole log
models        what a log says of snapshots and models
pages         the pages of a Parquet file, bounded before any is unpacked
rows          the rows of a `keys.parquet`, a batch at a time
keys          the rows of a snapshot, grouped by whom and what they concern
collected     whether records are as they were when they were collected
snapshots     a snapshot's manifest and files
apart         whether records are as they were collected, in a process of its own beside the other checks
replay        were all rows permitted, whenever they were used?
forgettings   is a forgetting owed, overdue, or was it late?
findings      what audits measured: each verdict, and whether a figure follows from its details
claims        a card and its attestation, every statement of them, against the log, the manifest and the rows
releases      a model's card and attestation
witnessed     what others saw of a log: a policy's quorum; proofs of single entries
people        a proof that a person is in a snapshot, or is not
proofs        a checkpoint by itself; proofs of consistency and inclusion
bundle        the whole of a workspace's evidence
"""
