"""A language model that answers whatever a test wants, true or not, and what it would truthfully say of a meeting."""

import json
from contextlib import contextmanager

from llm_server import said, serving


def claim(kind, text, *numbers, who="", due=""):
    return {"kind": kind, "text": text, "lines": list(numbers), "who": who, "due": due}


def told(*claims):
    return json.dumps({"claims": list(claims)})


@contextmanager
def model(reply):
    """Serve a model that answers with `reply(messages)`: a text, or a status and a body."""
    box = {}

    def step(handler):
        found = reply([one["content"] for one in box["asked"][-1]["body"]["messages"]])
        status, body = found if isinstance(found, tuple) else (200, said(found))
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(step) as (url, asked):
        box["asked"] = asked
        yield url, asked


GOOD = (
    claim("overview", "The team decided that the new battery has to last for nine hours.", 1),
    claim("overview", "The museum does not pay for the lamps.", 2),
    claim("topic", "Battery and lamps", 1, 2),
    claim("decision", "The new battery has to last for nine hours.", 1),
    claim("task", "Send the drawings of the oak frame to the museum", 3, who="Ann Lee", due="by Friday"),
    claim("question", "Who orders the glass?", 4),
)
