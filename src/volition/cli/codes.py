"""Exit codes: one table, from how an operation failed to what a script sees."""

from dataclasses import dataclass
from typing import Final

from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError, VolitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One way in which a command ends.

    Attributes:
        code: The exit code.
        kind: Its name, as `error.kind` in the JSON form of an error.
        meaning: What happened, and whose turn it is.
    """

    code: int
    kind: str
    meaning: str


OK: Final = Outcome(code=0, kind="ok", meaning="done; for `may`: permitted; for `verify`: everything holds")
UNEXPECTED: Final = Outcome(code=1, kind="unexpected", meaning="a fault of Volition's own; please report it")
INVALID: Final = Outcome(
    code=2, kind="invalid-input", meaning="the command line or the input is wrong; correct it and try again"
)
REFUSED: Final = Outcome(
    code=3, kind="refused", meaning="consent, an audit or an erasure says no; for `may`: not permitted"
)
UNPROVEN: Final = Outcome(code=4, kind="proof", meaning="evidence does not verify")
CONFLICT: Final = Outcome(code=5, kind="conflict", meaning="somebody else wrote first, or it is there already")
BACKEND: Final = Outcome(
    code=6, kind="backend", meaning="a disk, a file or an optional package failed; nothing is half-done"
)
INTERRUPTED: Final = Outcome(code=130, kind="interrupted", meaning="interrupted with Ctrl-C; run it again to go on")
UNREAD: Final = Outcome(code=141, kind="unread", meaning="the reader of the output went away, as `head` does")

OUTCOMES: Final = (OK, UNEXPECTED, INVALID, REFUSED, UNPROVEN, CONFLICT, BACKEND, INTERRUPTED, UNREAD)
"""Every way in which a command ends, by code."""

_OF_ERRORS: Final = (
    (InvalidInputError, INVALID),
    (RefusedError, REFUSED),
    (ProofError, UNPROVEN),
    (ConflictError, CONFLICT),
    (BackendError, BACKEND),
)


def outcome_of(error: VolitionError) -> Outcome:
    """Return how a command ends that failed with `error`."""
    return next((outcome for kind, outcome in _OF_ERRORS if isinstance(error, kind)), UNEXPECTED)
