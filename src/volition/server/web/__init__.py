"""The privacy centre: pages rendered here, which work without JavaScript. docs/web.md says how one is added.

`templates/` has one template a page and `_parts.html` with what they share; `static/` our style, and third-party
files under `vendor/`, with their licences. `verify/` is the page that checks evidence in a browser, which knows nothing
of the rest: it is served as it is, and works from a folder.

Each module knows only those before it:

page       what a page is: a visit in, one frozen dataclass out; roles, navigation
labels     what things are called on pages
lists      a long list a part at a time, and a box to find something in it
zones      the time zone of whoever reads, for days that follow from words
standing   how a use stands, in a word, and whether anything here makes that use at all
playing    sound, answered by the range
answering  what a yes and a no to a switch would do
markdown   what the operator wrote as terms, as HTML
bidi       characters that turn the direction of text, left out of what is shown
problem    the page for a request that failed
charts     SVG, with the same figures as a table
person     a person's pages: settings, what is held, models, receipts, requests
signin     sign-in and sign-out
console    the operator's pages
account    an account's pages, for its administrator
features   meetings, chat, search, recommendations
announced  the notice of new terms, on top of every page
app        from a request to a page
"""
