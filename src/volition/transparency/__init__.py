"""Transparency: what anyone can see and check: what is held, what was asked for, what it was used for, and proofs.

What it guarantees: a person sees what is theirs and nothing of anybody else's; evidence verifies offline with the
public key alone.

Each module knows only those before it:

usage           how often features used whose records
holdings        what is held of one person, to read and to take away
data_requests   what a person asked for, and how far it is
traces          what the models hold of one party
weigh           what a yes gives and costs, before the choice
prove           evidence, checked offline
receipt         what somebody said, to keep
"""
