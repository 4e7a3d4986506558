"""Where a ledger's bytes are kept: one module for each kind of `ledger.Store`."""
