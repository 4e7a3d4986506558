"""Learning: models of permitted rows, measured, released with a signed card, and made to forget exactly.

What it guarantees: training accepts a snapshot, never a table; a model's bytes are a function of its rows, so
forgetting (exact machine unlearning) is compared byte for byte with training again; nothing is released that was not
measured, is stale, or misses its bounds.

Each module knows only those before it:

minilm       the network of the sentence encoder
encoder      sentence embeddings from a frozen model
dp           differential privacy with a person as the unit
grades       how surely a model forgets
families     the kinds of model: how each learns, forgets and is measured
train        a snapshot and a family make a model
audit        what is measured of a model before its release
own          a model of one's own: what any code wrote, kept and named by digests
registry     which models there are, and the state of each, from the ledger
freshness    whether all rows of a snapshot may still be used
card         the model card
model_signature   a model's files, signed for foreign tools
release      the act of putting a model to work
documents    a release in the forms that others expect
forget       after a no, each model is replaced by the one that never saw the data
"""
