"""The HTTP API, for machines: `/v1`, with an OpenAPI document, problem details and tokens; see docs/api.md.

app.py        the application: routes, failures, document, health, figures
may.py        POST /v1/may, without a framework
record.py learning.py ways_in.py     the routes, by what they are about
shapes.py     the JSON
needs.py      what a route needs of who asks
repeats.py    idempotency keys
telling.py    webhooks out
problems.py   problem details
"""
