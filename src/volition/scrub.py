"""Scrubbing: personal identifiers inside content are replaced before a snapshot is frozen.

What is replaced, in this order:

- e-mail addresses -> `[email]`
- web addresses: the host stays; a path that looks like a token, every query and fragment go -> `https://host/[link]`
- telephone and other long numbers (seven digits or more, however spaced) -> `[number]`
- names of the people concerned by the record -> a label that is the same for the same person throughout

Scrubbing lowers risk; it is no permission and no anonymisation. It errs on the side of replacing: a build number of
seven digits goes too. A nickname that nobody registered stays.

    >>> Scrubber({"person-1a2b3c": ["Ada Byron"]}).scrub("Ada: mail ada@x.example or +44 20 7946 0018")
    '[person-1a2b3c]: mail [email] or [number]'
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

_EMAIL: Final = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_URL: Final = re.compile(r"\b(?:https?|ftp|wss?)://[^\s<>\"')\]]+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(?<![\w.])\+?\(?\d(?:[\s()./-]{0,2}\d){6,}(?!\w)")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_~%-]{16,}")
_SHORTEST_NAME_PART = 3


class Scrubber:
    """Replaces identifiers in texts that concern a known set of people."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        """Prepare to replace names.

        Args:
            names: Label of a person -> every name that the person goes by. A full name is replaced whatever its
                case; its parts of three letters or more only where they are written with a capital.
        """
        whole: dict[str, str] = {}
        parts: dict[str, str] = {}
        for label, known in names.items():
            for name in known:
                if len(name.strip()) < _SHORTEST_NAME_PART - 1:
                    continue
                whole.setdefault(name.strip().casefold(), label)
                for part in name.split():
                    if len(part) >= _SHORTEST_NAME_PART and part[:1].isupper():
                        parts.setdefault(part, label)
        self._whole = whole
        self._parts = parts
        self._whole_pattern = _either(whole, re.IGNORECASE)
        self._part_pattern = _either(parts, 0)

    def scrub(self, text: str) -> str:
        """Return the text with every identifier replaced."""
        text = _EMAIL.sub("[email]", text)
        text = _URL.sub(_shorten_link, text)
        text = _NUMBER.sub("[number]", text)
        if self._whole_pattern:
            text = self._whole_pattern.sub(lambda found: f"[{self._whole[found[0].casefold()]}]", text)
        if self._part_pattern:
            text = self._part_pattern.sub(lambda found: f"[{self._parts[found[0]]}]", text)
        return text

    def scrub_payload(self, payload: Mapping[str, Any], *, keep: Sequence[str] = ()) -> dict[str, Any]:
        """Return a JSON object with every text in it scrubbed, however deep, but for the top-level keys in `keep`."""
        return {key: value if key in keep else self._scrub_value(value) for key, value in payload.items()}

    def _scrub_value(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        match value:
            case str():
                return self.scrub(value)
            case list():
                return [self._scrub_value(item) for item in value]
            case dict():
                return {key: self._scrub_value(item) for key, item in value.items()}
        return value


def _either(names: Mapping[str, str], flags: int) -> re.Pattern[str] | None:
    """Return a pattern for any of the names as whole words, the longest first."""
    if not names:
        return None
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", flags)


def _shorten_link(found: re.Match[str]) -> str:
    """Keep scheme and host; keep the path only where nothing in it or after it can be a token."""
    try:
        parts = urlsplit(found[0])
        host = parts.hostname or ""
    except ValueError:
        return "[link]"
    if parts.query or parts.fragment or parts.username or _TOKEN.search(parts.path):
        return f"{parts.scheme}://{host}/[link]"
    return f"{parts.scheme}://{host}{parts.path}"
