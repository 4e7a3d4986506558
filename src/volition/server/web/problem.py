"""The page that says what went wrong, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something did not work.

    Attributes:
        title: What happened, in a few words.
        status: The HTTP status.
        told: What happened, where, and what to do.
    """

    title: str
    status: int
    told: str
