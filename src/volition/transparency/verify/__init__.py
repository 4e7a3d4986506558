"""Verifying: evidence is checked offline, with the log's public key alone. What is read here was written by others.

Whatever is wrong is a check that fails, with a name and a sentence that says which lie it is; never a crash.

Each module knows only those before it:

checks   one check, and what all of them together say
log      a signed checkpoint, and the entries that it commits to
people   a proof that a person is in a snapshot, or is not
collected   whether records are as they were when they were collected
findings   what audits measured: each verdict, and whether a figure follows from its details
claims   a card and its attestation, every statement of them, against the log, the manifest and the rows
bundle   the whole of a workspace's evidence
"""
