"""The server: who may come in, the HTTP API and the privacy centre, in one process for one workspace.

What it guarantees: a request does only what its user's role allows; every failure has one form.

Each module knows only those before it:

settings      `server.toml`
auth          users, passwords, sessions, links, tokens
jobs          long work on the side
http_errors   how a failure looks over HTTP
middleware    before any route: who asks, how much, under which headers (CSRF, rate limits)
api           `/v1`, for machines
web           the pages
app           both behind one port
"""

from volition.errors import require_extra

require_extra("argon2", "authlib", "fastapi", "jinja2", "starlette", "uvicorn", what="The server")
