"""The HTTP API, for machines: `/v1`, with an OpenAPI document, problem details and tokens; see docs/api.md.

Each module knows only those before it:

problems      problem details (RFC 9457)
webhooks      webhooks out
schemas       the JSON
idempotency   writes that may be sent again
security      which scope and roles a route needs
may           `POST /v1/may`, without a framework
ingest        ways in: OTLP, Zoom
record        terms, accounts, people, decisions, the ledger
learning      snapshots, runs, models, forgettings
rights        what a person may ask for
limits        an account's limits
weigh         weigh, then choose
app           all of it as one application
"""
