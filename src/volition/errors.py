"""How an operation fails: five errors under one root, so that a caller can tell whose turn it is.

`gate.decide` never raises for a refusal; it returns a verdict. Only an operation that *needed* permission raises
`RefusedError`. Every message says what went wrong, where, and what to do next.

Optional dependencies are checked here too: a part of Volition that needs more than the light core calls
`require_extra` before it imports, so that the message is the same everywhere.
"""

from importlib.util import find_spec


class VolitionError(Exception):
    """Root of every error that Volition raises on purpose."""


class InvalidInputError(VolitionError):
    """The input is wrong and the caller can mend it."""


class RefusedError(VolitionError):
    """Consent, an audit or an erasure says no. Asking again changes nothing; another decision would."""


class ProofError(VolitionError):
    """Evidence does not verify: something was changed, is missing, or was signed by somebody else."""


class ConflictError(VolitionError):
    """Somebody else wrote first. Read again and retry."""


class BackendError(VolitionError):
    """A store, an engine or an optional package failed or is missing."""


class MissingExtraError(BackendError, ImportError):
    """Packages of an optional extra are not installed. It is an `ImportError` too, for callers who expect one."""


def require_extra(extra: str, *packages: str, what: str) -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        extra: Name of the extra in `pyproject.toml`, such as "server".
        packages: Top-level packages, as they are imported, such as "fastapi".
        what: The part that needs them, as a sentence begins: "The server".

    Raises:
        MissingExtraError: One is missing. The message names what to install.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        msg = f"{what} needs {' and '.join(missing)}, which {are} not installed: pip install 'volition[{extra}]'"
        raise MissingExtraError(msg, name=missing[0])
