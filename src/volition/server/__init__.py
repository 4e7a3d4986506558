"""The server: sign-in, the HTTP API and the privacy centre, for one workspace.

What it guarantees: a request does only what its user's role allows; a failure has one identifier wherever it is raised.

Each module knows only those before it:

settings      `server.toml`
clients       where a request came from, as far as it can be believed
correlation   which request, trace and job the code works for, so that log lines can say so
logs          the log's lines, as text or JSON, without personal data
auth          users, passwords, sessions, tokens, links
reading       what staff read of people is written down before it is shown
repeating     work that is repeated in a thread, and after trouble less often
jobs          background jobs as rows that outlive every process
lanes         work in a thread with a workspace: so much of each kind at once, the rest in a queue
followers     following a background job, for however many
job_findings  jobs that are stuck
job_spans     a span for each job and its parts
work          what each kind of job does
schedule      what is done without being asked for: forgettings, compactions
worker        does the jobs, in the server or beside it
draining      telemetry laid out in files, in the background
beside        processes beside the server's: one takes in telemetry, one does the jobs
checkpoints   the ledger's newest checkpoint, kept with the users
cosigning     asking witnesses to cosign the log, in a thread
witness_app   a witness of other logs, by itself: it knows nothing of the rest
connections   slow ones and those that say too much are closed
asgi          the protocol between a web server and an application
http_errors   how a request fails: status, identifier, title
bodies        reading a request's body: how much, how fast
entry_readers  who may read an entry of the ledger, and who gets its proof
changes       what changed for whom, after a cursor, and waiting for it
log_proofs    proofs about the log as documents, and whether it has only grown since a checkpoint
compression   what is sent compressed, and what never is
middleware    before any route: authentication, CSRF, body limits, security headers
notices       which new terms people have to know of, and what was delivered to whom
figures       what an operator watches, as numbers: what is owed and until when, what waits
metrics       requests by route, and the figures, for Prometheus
otel          traces and metrics sent by OTLP
workers       a worker of each queue: here, beside the server, or by itself
observing     before everything: each request has ids, is counted, timed, traced and logged
api           `/v1`, for machines
sign_ins      what an erasure takes of them
web           the pages
mail          what is mailed, to whom, and how it gets there
app           both behind one port
"""

from volition.errors import require_extra

require_extra("argon2", "authlib", "fastapi", "jinja2", "starlette", "uvicorn", what="The server")
