"""The HTTP API, for machines: `/v1`, with an OpenAPI document, problem details and tokens; see docs/api.md.

Each module knows only those before it:

webhooks      outgoing webhooks
schemas       the JSON
summary_schemas  that of written summaries
import_schemas  that of imports
german        built-in purposes and kinds of data in German
idempotency   writes that may be sent again
security      which scope and roles a route requires
arrow         Arrow streams from outside, looked at before they are opened
health        whether decisions are still answered
may           `POST /v1/may`, without a framework
ingest        OTLP, CloudEvents and Zoom's webhooks, coming in
ledger        entries, checkpoint, proofs
changes       what changed for whom
terms         terms and their acceptance
parties       accounts and people
decisions     a yes or a no
switches      every switch of a party, and answering one
embeds        tokens for the switches of one person inside another page
limits        an account's limits
exclusions    one meeting, channel or file left out of some uses
sharings      who can open a meeting, channel or file
recordings    whether the sound of recordings is kept
summaries     summaries by a language model: asked for, read, corrected, sent
runs          background jobs, training
snapshots     frozen training sets
models        models, audits, releases
forgettings   what models must forget
rights        a person's rights: holdings, export, proofs, requests
weigh         weigh, then choose
app           all of it as one application
"""
