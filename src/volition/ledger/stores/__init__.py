"""Ledger stores: one module for each kind of `ledger.log.Store`; a contract test runs on each of them.

Each module knows only those before it:

memory               in one process
sqlite_migrations    files of older forms, carried over
sqlite               one file, for any number of processes of one machine
"""
