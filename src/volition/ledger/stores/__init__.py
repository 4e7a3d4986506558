"""Ledger stores, the storage back ends: one module for each kind of `ledger.store.Store`; a contract test runs on each.

Each module knows only those before it:

memory               in one process
sqlite_migrations    ledger files of older schema versions, migrated
sqlite               one file, for any number of processes of one machine
"""
