"""The ledger: everything that decides is one entry of an append-only Merkle log that outsiders can check.

What it guarantees: an entry that was acknowledged is never lost, changed or moved; every append leaves a signed
checkpoint; whoever holds an older one can check that the log only grew.

Each module knows only those before it:

merkle      the tree: roots, proofs, their verification, without I/O
signing     Ed25519: signed checkpoints and envelopes
log         entries, appended and read; the store is a protocol
stores      where the bytes are kept: SQLite, memory
"""
