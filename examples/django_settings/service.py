"""A Django product whose own settings page has the AI switches in it, and whose view asks before it uses a message.

    pip install 'volition[client]' django
    VOLITION_URL=https://privacy.example VOLITION_TOKEN=vol_... python service.py runserver

The token is of an engineer, with the scopes `may` and `embed`. A user of the product is the person of the same name;
sessions are in signed cookies here, so that the example needs no database.
"""

import os
import sys

import django
import httpx
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.urls import path

from volition.client import Client

VOLITION = os.environ["VOLITION_URL"].rstrip("/")
TOKEN = os.environ["VOLITION_TOKEN"]
ACCOUNT = "acme"
MESSAGES = {"ada": "The launch moves to Friday.", "bo": "Then the brochure must be ready."}
PAGE = f"""<!doctype html><html lang="en"><title>Settings</title>
<script type="module" src="{VOLITION}/v1/embed/volition-1.js" crossorigin></script>
<main><h1>Settings</h1><volition-settings token-from="/volition-token"></volition-settings></main>"""
POLICY = f"default-src 'none'; script-src {VOLITION}; connect-src 'self' {VOLITION}; base-uri 'none'"

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY") or os.urandom(32).hex(),
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    USE_TZ=True,
)
django.setup()
volition = Client(VOLITION, token=TOKEN)  # one for the process: it holds answers for as long as the server lets it


def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the user's settings, the AI switches among them."""
    if "user" not in request.session:
        return HttpResponseForbidden()
    return HttpResponse(PAGE, headers={"content-security-policy": POLICY})


def volition_token(request: HttpRequest) -> HttpResponse:
    """Have a token minted for the switches of whoever is signed in, for minutes, on pages of this origin."""
    if "user" not in request.session:
        return HttpResponseForbidden()
    asked = {"person": request.session["user"], "origin": f"{request.scheme}://{request.get_host()}", "minutes": 10}
    answer = httpx.post(f"{VOLITION}/v1/embed-tokens", json=asked, headers={"authorization": f"Bearer {TOKEN}"})
    return JsonResponse({"token": answer.raise_for_status().json()["token"]})


def search(request: HttpRequest) -> HttpResponse:
    """Find messages with a word in them, among those whose writers let search use them."""
    word = request.GET.get("q", "")
    found = [
        text
        for person, text in MESSAGES.items()
        if word in text
        and volition.may(
            "feature/search", account=ACCOUNT, people=[person], category="content/chat", conversation="general"
        )
    ]
    return JsonResponse({"found": found})


urlpatterns = [
    path("settings", settings_page),
    path("volition-token", volition_token),
    path("search", search),
]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
