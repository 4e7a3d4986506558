"""Adapter: a language model that has learned how people here write, as a small update (LoRA) of a frozen base.

Accounts are dealt into shards by a hash, and each shard trains an update of its own; predictions are by their mean.
Forgetting trains again only the shards that held the people who are forgotten, which gives the bytes of a model that
never saw them. With `[adapter.privacy]`, training is differentially private, a person the unit (see
`volition.learning.dp`).

What is learned crosses from one account to another. `docs/decisions/0014-adapters-in-shards.md` says what bounds it.

    family = AdapterFamily(Recipe(base="models/SmolLM2-135M"), folder=folder, secret=secret)
    model = family.fit(rows, parts=NoParts(), progress=silent)

Source: shards that forget by training again (SISA), Bourtoule et al. 2021, arXiv:1912.03817.

Each module knows only those before it:

shards       which shard an account is in
recipe       how an adapter is trained: `[adapter]` in the settings
training     one shard's training, a person at a time
base         the base model, on torch
gguf_header  the head of a GGUF file, bounded before anything is made of it
gguf         a base model out of a GGUF file
family       training shard by shard
spec         what this family is: its declaration
"""
