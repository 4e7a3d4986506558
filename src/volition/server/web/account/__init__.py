"""An account's settings, for its administrator.

Each module knows only those before it:

limits     the lock, and limits of groups
settings   switches, terms, people in counts
"""
