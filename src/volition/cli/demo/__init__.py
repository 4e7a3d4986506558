"""The demo: invented customers walk the whole road, and every promise is checked on the way.

Each module knows only those before it:

samples   their exports
story     the road, step by step
command   the command that walks it
"""
