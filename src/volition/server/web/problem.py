"""The page for a request that failed: what happened, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemPage:
    """A request failed.

    Attributes:
        title: The standard title of the status.
        status: The HTTP status.
        detail: What happened, and what to do.
    """

    title: str
    status: int
    detail: str
