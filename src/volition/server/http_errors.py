"""How an operation's failure is told over HTTP: one table for the pages and the API."""

from dataclasses import dataclass
from typing import Final

from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError, VolitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One way in which a request fails.

    Attributes:
        status: The HTTP status.
        kind: Its name, at the end of a problem's `type`.
        title: What happened, in a few words.
    """

    status: int
    kind: str
    title: str


INVALID: Final = Failure(status=400, kind="invalid-input", title="That does not work like this")
REFUSED: Final = Failure(status=403, kind="refused", title="Not permitted")
UNPROVEN: Final = Failure(status=500, kind="proof", title="Evidence does not verify")
CONFLICT: Final = Failure(status=409, kind="conflict", title="Somebody was faster, or it is there already")
BACKEND: Final = Failure(status=503, kind="backend", title="Something here does not work just now")
UNKNOWN: Final = Failure(status=404, kind="not-found", title="There is no such page")
FORBIDDEN: Final = Failure(status=403, kind="forbidden", title="This is not for your role")
TOO_MANY: Final = Failure(status=429, kind="too-many", title="Too many tries")
TOO_LARGE: Final = Failure(status=413, kind="too-large", title="That is too much at once")
UNEXPECTED: Final = Failure(status=500, kind="unexpected", title="This is a fault of ours")

_OF_ERRORS: Final = (
    (InvalidInputError, INVALID),
    (RefusedError, REFUSED),
    (ProofError, UNPROVEN),
    (ConflictError, CONFLICT),
    (BackendError, BACKEND),
)


def failure_of(error: VolitionError) -> Failure:
    """Return how a request fails that raised `error`."""
    return next((failure for kind, failure in _OF_ERRORS if isinstance(error, kind)), UNEXPECTED)
