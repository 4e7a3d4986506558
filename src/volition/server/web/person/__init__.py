"""A person's own pages.

Each module knows only those before it:

settings   AI settings: each switch, and a yes and a no of the same size
weigh      what a yes gives and costs, before the choice
holdings   what is held
learned    models that learned from them
receipts   receipts and proofs
requests   being erased, and how far everything is
terms      the text, and what changed
guests     meetings of a guest
"""
