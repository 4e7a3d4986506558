"""The end point: a language model behind an OpenAI-compatible `/chat/completions`, where the operator configured one.

Promises:

- Text goes to the configured host and to nobody else: no redirect is followed, and no proxy is taken from the
  environment. Beyond this machine the connection is encrypted (TLS).
- A call ends: in an answer, or in a `BackendError` that says what went wrong, and where. `timeout_s` bounds the whole
  call with its retries, and no answer is read beyond a megabyte.
- The API key is read from the environment, never from a file, and appears in no message and no log.

What is sent is up to the caller: a feature sends only what the gate has let through for it.

    endpoint = Endpoint("http://127.0.0.1:11434/v1", "llama3.2", key=None, timeout_s=60)
    answer = endpoint.chat([{"role": "user", "content": "Say hello."}], max_tokens=20)

Sources: https://platform.openai.com/docs/api-reference/chat; Retry-After: RFC 9110, section 10.2.3.
"""

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from volition.consent.terms.toml_file import FaultError, Section
from volition.errors import BackendError, InvalidInputError, require_extra

if TYPE_CHECKING:
    import httpx

Message = Mapping[str, str]

_LARGEST_BYTES: Final = 1_000_000
_ATTEMPTS: Final = 3
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_PAUSE_S: Final = 0.5  # before the second attempt; doubled before the third
_TIMEOUT_S: Final = 60
_LONGEST_TIMEOUT_S: Final = 3600
_QUOTED: Final = 200  # characters of an answer that an error message quotes
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REJECTED: Final = frozenset({400, 413, 422})
_CONTEXT_TOKENS: Final = 4096
_CONTEXTS: Final = (1024, 4_194_304)  # the smallest and the largest


class RejectedRequestError(BackendError):
    """The host answered that it does not take this request: it is too long, perhaps, or asks for what it cannot do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """The table `[endpoint]` of volition.toml.

    Attributes:
        url: What `/chat/completions` is appended to, such as `https://llm.example/v1`.
        model: The model's name there.
        key_env: The environment variable that holds the API key; none if the host needs no key.
        timeout_s: Seconds for a whole call.
        context_tokens: How many tokens the model takes, question and answer together.
    """

    url: str
    model: str
    key_env: str | None = None
    timeout_s: float = _TIMEOUT_S
    context_tokens: int = _CONTEXT_TOKENS

    @classmethod
    def from_toml(cls, table: object) -> Self:
        """Read the table, strictly.

        Args:
            table: The value of `endpoint`.

        Raises:
            FaultError: A key is missing, unknown, or holds what it cannot.
        """
        section = Section(table, (), required={"url", "model"}, optional={"key_env", "timeout_s", "context_tokens"})
        for key in ("url", "model", "key_env"):
            if key in section.value and not section.text(key).strip():
                raise FaultError((key,), f'"{key}" is empty. Fill it in, or take the line out.')
        timeout_s = section.number("timeout_s", _TIMEOUT_S)
        if not 0 < timeout_s <= _LONGEST_TIMEOUT_S:
            raise FaultError(
                ("timeout_s",), f'"timeout_s" must be more than 0 and at most {_LONGEST_TIMEOUT_S} seconds.'
            )
        context_tokens = section.number("context_tokens", _CONTEXT_TOKENS)
        if not (_CONTEXTS[0] <= context_tokens <= _CONTEXTS[1] and context_tokens == int(context_tokens)):
            raise FaultError(
                ("context_tokens",),
                f'"context_tokens" must be a whole number from {_CONTEXTS[0]:,} to {_CONTEXTS[1]:,}: what the model '
                "takes, question and answer together.",
            )
        fault = _fault_of(section.text("url"))
        if fault:
            raise FaultError(("url",), f"{fault[0].upper()}{fault[1:]}")
        return cls(
            url=section.text("url"),
            model=section.text("model"),
            key_env=section.optional_text("key_env"),
            timeout_s=float(timeout_s),
            context_tokens=int(context_tokens),
        )

    def connect(self, environment: Mapping[str, str]) -> "Endpoint":
        """Return the end point, with its API key from the environment.

        Raises:
            InvalidInputError: The variable that should hold the key is not set, or holds what no header can carry.
        """
        key = None if self.key_env is None else environment.get(self.key_env)
        if self.key_env is not None and not key:
            msg = f"The end point's key should stand in the variable {self.key_env}, which is not set. Set it."
            raise InvalidInputError(msg)
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            msg = f"The variable {self.key_env} holds no valid key: a key has no spaces or line breaks. Set it again."
            raise InvalidInputError(msg)
        return Endpoint(self.url, self.model, key, self.timeout_s, context_tokens=self.context_tokens)


class Endpoint:
    """One model at one host. It holds no connection and may be used from several threads."""

    def __init__(
        self, url: str, model: str, key: str | None, timeout_s: float, *, context_tokens: int = _CONTEXT_TOKENS
    ) -> None:
        """Name the end point; nothing is sent yet.

        Args:
            url: What `/chat/completions` is appended to.
            model: The model's name there.
            key: Sent as a bearer token; none sends none.
            timeout_s: Seconds for a whole call.
            context_tokens: How many tokens the model takes, question and answer together.

        Raises:
            InvalidInputError: Text may not be sent to this URL.
        """
        fault = _fault_of(url)
        if fault:
            raise InvalidInputError(f"The end point cannot be used: {fault}")
        self.model = model
        self.host = urlsplit(url).netloc
        self.context_tokens = context_tokens
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._key = key
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        """Name the URL and the model, never the key."""
        return f"Endpoint({self._url!r}, {self.model!r})"

    def chat(
        self, messages: Sequence[Message], *, max_tokens: int = 512, schema: Mapping[str, Any] | None = None
    ) -> str:
        """Send a conversation and return what the model answers; it is asked for its likeliest answer.

        Args:
            messages: Each with `role` (system, user or assistant) and `content`.
            max_tokens: Most tokens of the answer.
            schema: A JSON schema that the answer is asked to follow; what comes back is text all the same, and may not.

        Returns:
            The answer's text, without space around it.

        Raises:
            RejectedRequestError: The host does not take the request.
            BackendError: The host cannot be reached, is too slow or too busy, or answers something else; or the extra
                `learn` is not installed.
        """
        require_extra("httpx", what="A language model behind an API")
        import httpx  # noqa: PLC0415 - only where an end point is configured and asked

        ends = time.monotonic() + self._timeout_s
        headers = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        body = {"model": self.model, "messages": [dict(m) for m in messages], "max_tokens": max_tokens}
        body |= {"temperature": 0, "stream": False}
        if schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": _named(schema)}
        # On this machine there is no TLS, so nobody's certificates are read; such a context would trust nobody.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self._url.startswith("http:") else True
        with httpx.Client(follow_redirects=False, trust_env=False, headers=headers, verify=verify) as client:
            for attempt in range(1, _ATTEMPTS + 1):
                pause_s = _PAUSE_S * 2 ** (attempt - 1)
                try:
                    status, answered, content = self._post(client, body, ends)
                except httpx.TimeoutException as error:
                    raise self._too_slow() from error
                except httpx.HTTPError as error:
                    trouble = f"cannot be reached ({error})"
                else:
                    if status not in _BUSY:
                        return self._read(status, answered, content)
                    trouble = f"answered {status}"
                    pause_s = max(pause_s, _retry_after_s(answered)) if "retry-after" in answered else pause_s
                if attempt == _ATTEMPTS or time.monotonic() + pause_s >= ends:
                    break
                time.sleep(pause_s)
        msg = f"The end point {self._url} {trouble}, {attempt} time(s). Check that it is running, or try again later."
        raise BackendError(msg)

    def _post(
        self, client: "httpx.Client", body: Mapping[str, Any], ends: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send the request once and read the answer piece by piece, within what is left of the time and the size."""
        left_s = ends - time.monotonic()
        if left_s <= 0:
            raise self._too_slow()
        content = bytearray()
        with client.stream("POST", self._url, json=body, timeout=left_s) as response:
            # As sent: unpacked, a small answer could become a large one.
            if response.headers.get("content-encoding", "identity") != "identity":
                raise BackendError(f"The end point {self._url} sent a compressed answer, which was not asked for.")
            for piece in response.iter_raw():
                content += piece
                if len(content) > _LARGEST_BYTES:
                    msg = f"The end point {self._url} answered with more than {_LARGEST_BYTES:,} bytes. It was cut off."
                    raise BackendError(msg)
                if time.monotonic() > ends:
                    raise self._too_slow()
            return response.status_code, response.headers, bytes(content)

    def _too_slow(self) -> BackendError:
        return BackendError(
            f"The end point {self._url} did not answer within {self._timeout_s:g} s. "
            "Ask for less, or raise timeout_s under [endpoint] in volition.toml."
        )

    def _read(self, status: int, headers: Mapping[str, str], content: bytes) -> str:
        """Return the text of an answer."""
        if 300 <= status < 400:
            msg = (
                f"The end point {self._url} redirects ({status}) to {headers.get('location', 'nowhere')!r}, which is "
                "not followed: text goes only where volition.toml says. Set the url to its final address."
            )
            raise BackendError(msg)
        quoted = repr(content[:_QUOTED].decode("utf-8", "replace"))
        if self._key is not None:
            quoted = quoted.replace(self._key, "(the key)")  # some servers repeat a key that they refuse
        if status != 200:
            error = RejectedRequestError if status in _REJECTED else BackendError
            raise error(f"The end point {self._url} answered {status}: {quoted}. Check model and key.")
        msg = f"The end point {self._url} gave no choices[0].message.content with text in it, but: {quoted}."
        try:
            answer = json.loads(content)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise BackendError(msg) from error
        if not isinstance(answer, str) or not answer.strip():
            raise BackendError(msg)
        return answer.strip()


def _named(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "answer", "strict": True, "schema": schema}


def _fault_of(url: str) -> str:
    """Return what is wrong with a URL that text should be sent to, and how to mend it; empty if nothing is."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"{url!r} is no URL: {error}."
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(c.isspace() for c in url):
        return f"{url!r} is no web address. Take one like https://llm.example/v1."
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "the url has a user, a query or a fragment. Remove them; key_env names the API key."
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        return f"{url!r} is not encrypted, and people's text may leave this machine only encrypted. Use https."
    return ""


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or a date; 0 if it is neither."""
    value = headers["retry-after"].strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
