"""A person's own pages.

Each module knows only those before it:

settings   AI settings: each switch, and a yes and a no of the same size
weigh      what a yes gives and what it costs, before the choice
holdings   what is held, and its export
looked     who looked at their data, and proofs of it
models     models that learned from them
receipts   receipts and proofs
consistency  whether the log has only grown since an older one
requests   erasure, and the progress of each request
terms      the text, and what changed
excluding  leaving one conversation out of some uses
guests     meetings of a guest
"""
