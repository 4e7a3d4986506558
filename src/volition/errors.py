"""How an operation fails: five errors under one root, so that a caller can tell whose turn it is.

`gate.decide` never raises for a refusal; it returns a verdict. Only an operation that *needed* permission raises
`RefusedError`. Every message says what went wrong, where, and what to do next.
"""


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
