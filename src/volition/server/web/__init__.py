"""The privacy centre: pages rendered here, which work without JavaScript. docs/web.md says how one is added.

page.py       what a page is: a visit in, one frozen dataclass out; roles, navigation, notices
app.py        the pages' modules, and how a request becomes one
words.py      what pages call things
charts.py     intervals as SVG, with the same figures as a table
settings.py signin.py ...    the pages, a module for each matter
templates/    one template a page, `_parts.html` with what they share
static/       our style, and what is not ours under vendor/, with licences
"""
