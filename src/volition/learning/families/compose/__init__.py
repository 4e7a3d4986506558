"""Compose: what people of an account often write, to complete what a person types and to suggest short replies.

This is autocomplete with k-anonymity: it suggests only what at least k different people of the same account wrote (k =
5 by default), and it holds nothing else: n-grams of words with the number of people who wrote each, and short replies
in the same way. What fewer people wrote is in no file of the model, and nothing crosses from one account to another.
Private conversations teach nothing, since a suggestion is shown to the whole account.

The counts are integers and are subtracted to forget: the bytes that remain are those of a model trained without the
party. `docs/decisions/0013-what-a-composer-may-hold.md` says why it is built like this.

    model = ComposeFamily().fit(rows, parts=NoParts(), progress=silent)
    Composer(model).complete("acme", "let me kn")         # see `volition.learning.families.compose.composer`

Each module knows only those before it:

words        words of a message
counts       how many people wrote each n-gram
replies      short replies
model        the bytes of a model
composer     a model, opened
keystrokes   what completion saves
family       learning what enough people wrote
spec         what this family is: its declaration
"""
