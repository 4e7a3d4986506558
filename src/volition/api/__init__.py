"""The HTTP API, for machines: `/v1`, with an OpenAPI document, problem details and tokens.

app.py        the application, its errors, health and readiness
"""
