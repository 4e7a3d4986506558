"""The privacy centre: pages rendered here, which work without JavaScript. docs/web.md says how one is added.

`templates/` has one template a page and `_parts.html` with what they share; `static/` our style, and what is not ours
under `vendor/`, with licences.

Each module knows only those before it:

page       what a page is: a visit in, one frozen dataclass out; roles, navigation
labels     what pages call things
markdown   what the operator wrote as terms, as HTML
problem    the page that says what went wrong
charts     SVG, with the same figures as a table
person     a person's pages: settings, what is held, models, receipts, requests
signin     coming in
console    the operator's pages
account    an account's pages, for its administrator
features   meetings, chat, search, recommendations
app        from a request to a page
"""
