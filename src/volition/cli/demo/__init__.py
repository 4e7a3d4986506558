"""The demo: invented customers walk the whole road, and every promise is checked on the way.

Each module knows only those before it:

samples   their exports
cast      who says what
clock     the story's own time
promises  what is checked on the way
tables    the steps, as people read them
story     the road, step by step
command   the command that walks it
"""
