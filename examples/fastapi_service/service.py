"""A service that summarises chat messages, and asks before each use: for each message, at each request.

    pip install 'volition[client]' fastapi uvicorn
    VOLITION_URL=https://privacy.example VOLITION_TOKEN=vol_... uvicorn service:app

The token is of an engineer, with the scopes `may` and `embed`. Who is signed in, your own sign-in knows; here it is a
header.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import HTMLResponse

from volition.client import AsyncClient

ACCOUNT = "acme"
PURPOSE = "feature/summary"
ORIGIN = os.environ.get("ORIGIN", "http://127.0.0.1:8000")
MESSAGES = {
    "general": [
        ("ada", "The launch moves to Friday."),
        ("bo", "Then the brochure must be ready on Thursday."),
    ]
}
PAGE = """<!doctype html><html lang="en"><title>Your profile</title>
<script type="module" src="{volition}/v1/embed/volition-1.js" crossorigin></script>
<main><h1>Your profile</h1><volition-settings token-from="/volition-token"></volition-settings></main>"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one client for as long as the service runs: it holds answers for as long as the server lets it."""
    url, token = os.environ["VOLITION_URL"].rstrip("/"), os.environ["VOLITION_TOKEN"]
    async with AsyncClient(url, token=token) as volition, httpx.AsyncClient(base_url=url) as http:
        app.state.volition, app.state.http = volition, http
        yield


app = FastAPI(lifespan=lifespan)


def signed_in(x_user: Annotated[str, Header()]) -> str:
    """Return who is signed in; your own sign-in stands here."""
    if x_user not in {"ada", "bo"}:
        raise HTTPException(401)
    return x_user


@app.get("/channels/{channel}/summary")
async def summary(channel: str, request: Request, _: Annotated[str, Depends(signed_in)]) -> dict[str, object]:
    """Summarise a channel from the messages whose writers let it; say how many were left out, and why."""
    used: list[str] = []
    left_out: dict[str, int] = {}
    for person, text in MESSAGES.get(channel, []):
        verdict = await request.app.state.volition.may(
            PURPOSE, account=ACCOUNT, people=[person], category="content/chat", conversation=channel
        )
        if verdict:
            used.append(text)
        else:
            left_out[str(verdict.reason)] = left_out.get(str(verdict.reason), 0) + 1
    return {"summary": " ".join(text.partition(".")[0] + "." for text in used), "left_out": left_out}


@app.get("/profile", response_class=HTMLResponse)
def profile() -> str:
    """Show the switches inside a page of the service's own."""
    return PAGE.format(volition=os.environ["VOLITION_URL"].rstrip("/"))


@app.get("/volition-token")
async def volition_token(request: Request, user: Annotated[str, Depends(signed_in)]) -> dict[str, str]:
    """Have a token minted for the switches of whoever is signed in, for minutes, on pages of this origin."""
    answer = await request.app.state.http.post(
        "/v1/embed-tokens",
        json={"person": user, "origin": ORIGIN, "minutes": 10},
        headers={"authorization": f"Bearer {os.environ['VOLITION_TOKEN']}"},
    )
    return {"token": answer.raise_for_status().json()["token"]}
