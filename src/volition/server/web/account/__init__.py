"""An account's settings, for its administrator.

Each module knows only those before it:

limits     the lock, and limits of groups
people     names heard that may be the account's people
settings   switches, terms, people in counts
terms      published terms, and how far the notice of each has come
"""
