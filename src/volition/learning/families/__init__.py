"""Model families: the kinds of model, what each learns from permitted rows, and how it forgets some of them exactly.

A family turns rows that the gate let through into a `Model`, which is data only: JSON settings, numeric arrays and
plain texts, never pickled objects. Its bytes are a function of the rows alone, so "forgotten exactly" is a comparison
of digests: `forget(model, before, after)` must give the bytes of `fit(after)`.

    model = family.fit(rows, parts=NoParts(), progress=silent)
    model.save(folder)
    assert Model.load(folder).digest == model.digest

Each module knows only those before it:

model        what was learnt: data only, the same bytes everywhere
family       what a family can do: learn, forget exactly, be measured
spec         what a family is: declared in its folder
installed    which families there are, from this package and from others
chat         messages that a model may learn from, and which are held out
search       which line answers a query
recommend    what a person may want next
summary      the moments of a meeting, as quotes
compose      completions and replies
diagnose     which sessions are about to fail
adapter      a language model's small update
"""
