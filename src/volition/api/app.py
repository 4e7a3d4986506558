"""The API as one application."""

from typing import Final

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from volition.access import Access
from volition.errors import VolitionError
from volition.serving import Settings
from volition.workspaces import Workspaces

PATHS: Final = ("/v1/", "/healthz", "/readyz")
"""What begins so belongs to the API."""


def application(*, access: Access, workspaces: Workspaces, settings: Settings) -> FastAPI:  # noqa: ARG001 - soon
    """Return the API as an ASGI application; `guard.Guard` stands before it."""
    app = FastAPI(title="Volition", openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None)

    @app.get("/healthz", include_in_schema=False)
    def healthy() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", include_in_schema=False)
    def ready() -> JSONResponse:
        try:
            with workspaces.borrow() as workspace:
                return JSONResponse({"status": "ok", "ledger": workspace.ledger.size})
        except VolitionError as error:
            return JSONResponse({"status": "not ready", "detail": str(error)}, status_code=503)

    return app
