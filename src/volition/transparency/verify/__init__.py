"""Verifying: each kind of evidence is checked by a module that takes plain values and raises on the first lie.

Each module knows only those before it:

findings   what audits measured: each verdict, and whether a figure follows from its details
claims     a card and its attestation, every statement of them, against the log, the manifest and the rows
"""
