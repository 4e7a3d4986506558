"""The ledger: everything that decides is one entry of an append-only Merkle log that outsiders can check.

The field calls it a transparency log or a tamper-evident audit log: RFC 9162 trees, signed checkpoints (C2SP
tlog-checkpoint), inclusion and consistency proofs.

What it guarantees: an entry that was acknowledged is never lost, changed or moved; every append leaves a signed
checkpoint; anyone who holds an older one can check that the log only grew.

Each module knows only those before it:

merkle         the tree: roots, proofs, their verification, without I/O
signing        Ed25519: signed checkpoints and envelopes
policy         trust policies (C2SP tlog-policy): which log, which witnesses, and how many of them
clock          when an entry was made: each later than the one before; a clock that is far off is logged
entry          entries, and what is to be appended
store          what keeps the bytes: the protocol of a back end
group_commit   appends of several threads, stored in one transaction
log            the ledger: entries, appended and read, verified
tiles          the log as static files (C2SP tlog-tiles), for any client of transparency logs
catching_up    a store taken further by the entries of a newer copy
tlog_proof     that one entry is in the log, as a file (C2SP tlog-proof)
witness        a witness of other logs (C2SP tlog-witness): what it is asked, and when it cosigns
cosignatures   what witnesses said about this log
stores         back ends: SQLite, memory
"""
