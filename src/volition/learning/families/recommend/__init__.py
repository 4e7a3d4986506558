"""Recommend: channels, documents, people and features that a person may want next (EASE, popularity for newcomers).

An item is whatever a usage event names in `volition.item`: "channel/general", "document/budget", "person/ada",
"feature/polls"; the word before the slash is its kind, and every kind is learned and suggested in the same way. An item
that is a person is a party, too: the caller asks the gate who may be suggested (`hidden`).

What is learned is one table of integers per account: how many people use both item i and item j. Nothing crosses
from one account to another, and because integers subtract exactly, forgetting is subtraction: the bytes that remain are
the bytes that a model trained without the party would have. The weights are floating-point and are therefore solved
when an account's table is opened, never stored: a saved model is the same whatever machine and BLAS made it.

Source: H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv:1905.03375.

Each module knows only those before it:

counts       how many people use each pair of items
recommender  a model, solved: what to try next
family       learning and forgetting by adding and subtracting
spec         what this family is: its declaration
"""
