"""How a request to the server fails: with what it says, or since nothing was heard of it."""

from collections.abc import Mapping, Sequence


class ClientError(Exception):
    """A request that failed."""


class ApiError(ClientError):
    """A failure that the server described (problem details, RFC 9457).

    Attributes:
        type: The identifier by which programs recognise it, "urn:volition:problem:conflict"; docs/api.md lists them.
        status: The HTTP status.
        title: The standard title of the status.
        detail: What happened, and what to do about it, for people.
        errors: Where a document has not the form that it needs, for each place.
        retry_after_s: After how many seconds the same request may be sent again; none where that would not help.
    """

    def __init__(  # noqa: PLR0913 - all that problem details say
        self,
        *,
        type: str,  # noqa: A002 - its name in problem details
        status: int,
        title: str,
        detail: str,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after_s: float | None = None,
    ) -> None:
        """Say how it failed."""
        super().__init__(f"{status} {title}: {detail}")
        self.type = type
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s


class UnreachableError(ClientError):
    """The server did not answer, or what answered is not it. A write may have been done, or not."""
