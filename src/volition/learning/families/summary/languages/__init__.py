"""The languages in which decisions, tasks and questions are looked for.

In a language that is not here nothing is looked for, and whoever reads the minutes is told so.

Each module knows only those before it:

phrases   what minutes need to know of a language
english   English
german    German
"""
