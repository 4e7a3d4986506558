"""The server: sign-in, the HTTP API and the privacy centre, in one process for one workspace.

What it guarantees: a request does only what its user's role allows; a failure has one identifier wherever it is raised.

Each module knows only those before it:

settings      `server.toml`
auth          users, passwords, sessions, tokens, links
reading       what staff read of people is written down before it is shown
jobs          background jobs
repeating     work that is repeated in a thread, and after trouble less often
checkpoints   the ledger's newest checkpoint, kept with the users
cosigning     asking witnesses to cosign the log, in a thread
witness_app   a witness of other logs, by itself: it knows nothing of the rest
asgi          the protocol between a web server and an application
http_errors   how a request fails: status, identifier, title
entry_readers  who may read an entry of the ledger, and who gets its proof
log_proofs    proofs about the log as documents, and whether it has only grown since a checkpoint
middleware    before any route: authentication, CSRF, body limits, security headers
notices       which new terms people have to know of, and what was delivered to whom
api           `/v1`, for machines
sign_ins      what an erasure takes of them
web           the pages
mail          what is mailed, to whom, and how it gets there
app           both behind one port
"""

from volition.errors import require_extra

require_extra("argon2", "authlib", "fastapi", "jinja2", "starlette", "uvicorn", what="The server")
