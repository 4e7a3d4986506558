"""Learning: models of permitted rows, measured, released with a signed card, and made to forget exactly.

What it guarantees: training accepts a snapshot, never a table; a model's bytes are a function of its rows, so
forgetting is compared byte for byte with training anew; nothing is released unmeasured, stale or beyond its bounds.

Each module knows only those before it:

encoder      sentence embeddings, frozen
dp           differential privacy with a person as the unit
families     the kinds of model: how each learns, forgets and is measured
train        a snapshot and a family make a model
audit        a model makes findings
registry     which models there are, and the state of each, from the ledger
freshness    whether all rows of a snapshot may still be used
card         a model's signed account of itself
release      the act of putting a model to work
forget       a no touches models; each is replaced by one that never saw the data
"""
