r"""A TOML file read strictly, in which every value knows its line, so that an error can say `FILE:LINE:`.

`Section` reads a table key by key and tolerates nothing unknown; a `FaultError` carries the path to what is wrong, and
`name_lines` turns that path into a line:

    document = read_toml(path)
    with name_lines(document):
        top = Section(document.value, (), required={"id"}, optional={"site"})

Values come from the standard library's `tomllib`, which also decides what is valid TOML and what is not. No well-kept
library gives the lines of the values too, so a scan of the text, by then known to be valid, finds the line on which
each of them starts: under `[table]` and `[[table]]` headers, dotted and quoted keys, inline tables and arrays, and
past comments and strings of all four kinds.

    >>> document = parse_toml(b'id = "x"  # a comment\n[[rule]]\ndata = [\n  "service",\n]\n', source="terms.toml")
    >>> document.line_of(("rule", 0, "data", 0))
    4
    >>> document.line_of(("rule", 0, "purpose"))  # not there: the line of the nearest thing around it
    2
"""

import difflib
import math
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from volition.errors import InvalidInputError

KeyPath = tuple[str | int, ...]
"""The way to a value from the top of the document: keys of tables and positions in arrays, counted from 0."""

_TOKEN: Final = re.compile(
    r'''(?P<skip>[ \t\r]+|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<quoted>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\')
    |(?P<mark>[][{}=,.])
    |(?P<bare>[^][{}=,."'\#\s]+)''',
    re.VERBOSE | re.DOTALL,
)
_POSITION: Final = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


class FaultError(InvalidInputError):
    """What is wrong, and the path to where; a reader that knows lines turns the path into one."""

    def __init__(self, path: KeyPath, fault: str) -> None:
        """Say `fault` of what lies at `path`."""
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        super().__init__(f"At {where}: {fault}" if where else fault)
        self.path = path
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A TOML document and the line on which each of its values starts.

    Attributes:
        source: The file's name, as errors show it.
        value: What `tomllib` read.
        lines: Line, counted from 1, of each table, array and value.
    """

    source: str
    value: dict[str, Any]
    lines: Mapping[KeyPath, int]

    def line_of(self, path: KeyPath) -> int:
        """Return the line, counted from 1, of a value; where it is absent, of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse_toml(data: bytes, *, source: str) -> Document:
    """Read the bytes of a TOML file, keeping lines.

    Args:
        data: The file's bytes, UTF-8, with or without a byte order mark.
        source: The file's name, as errors are to show it.

    Raises:
        InvalidInputError: The bytes are not UTF-8 or not TOML; the message starts with `source:LINE:`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        msg = f"{source}:{line}: This line is not UTF-8 text. Save the file as UTF-8."
        raise InvalidInputError(msg) from error
    try:
        value = tomllib.loads(text)
        lines = _Scan(text).lines()
    except RecursionError as error:
        msg = f"{source}:1: The tables or arrays of this file are nested too deeply to be read."
        raise InvalidInputError(msg) from error
    except ValueError as error:  # also what is no TOMLDecodeError: an integer of thousands of digits, say
        position = _POSITION.search(str(error))
        line = text.count("\n") + 1 if position else 1
        if position and position["line"]:
            line = int(position["line"])
        why = _POSITION.sub("", str(error))
        msg = f"{source}:{line}: This is not valid TOML: {why}. See https://toml.io for the format."
        raise InvalidInputError(msg) from error
    return Document(source=source, value=value, lines=lines)


def read_toml(file: Path) -> Document:
    """Read a TOML file, keeping lines.

    Raises:
        InvalidInputError: It cannot be read, or is not TOML; the message starts with the file's name.
    """
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InvalidInputError(f"{file}: This file cannot be read: {why}. Check the path.") from error
    return parse_toml(data, source=str(file))


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup and match.lastgroup != "skip":
            yield _Token(match.lastgroup, match.group(), line)
        line += match.group().count("\n")
    yield _Token("end", "", line)


class _Scan:
    """One pass over a valid document that notes where things start."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._lines: dict[KeyPath, int] = {}
        self._lengths: dict[KeyPath, int] = {}  # of the arrays of tables so far

    def lines(self) -> dict[KeyPath, int]:
        here: KeyPath = ()
        while self._skip_newlines().kind != "end":
            if self._peek().text == "[":
                here = self._header()
            else:
                self._pair(here)
        return self._lines

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _skip_newlines(self) -> _Token:
        while self._peek().kind == "newline":
            self._take()
        return self._peek()

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]`, and return the path of the table that it opens."""
        line = self._take().line
        is_array = self._peek().text == "["
        if is_array:
            self._take()
        *parents, last = self._key()
        path: KeyPath = ()
        for part in parents:
            self._lines.setdefault((*path, part), line)
            path = self._latest((*path, part))
        path = (*path, last)
        self._lines.setdefault(path, line)
        if is_array:
            self._lengths[path] = self._lengths.get(path, 0) + 1
        path = self._latest(path)
        self._lines.setdefault(path, line)
        while self._peek().text == "]":
            self._take()
        return path

    def _latest(self, path: KeyPath) -> KeyPath:
        """A header that goes through an array of tables means the table last added to it."""
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _key(self) -> list[str]:
        """Read a key, dotted or not."""
        parts = [self._key_part()]
        while self._peek().text == ".":
            self._take()
            parts.append(self._key_part())
        return parts

    def _key_part(self) -> str:
        token = self._take()
        if token.kind != "quoted":
            return token.text
        return str(tomllib.loads(f"key = {token.text}")["key"])

    def _pair(self, here: KeyPath) -> None:
        """Read `key = value` in the table at `here`."""
        line = self._peek().line
        path = here
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._take()  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._lines.setdefault(path, self._peek().line)
        match self._peek().text:
            case "[":
                self._take()
                position = 0
                while self._skip_newlines().text != "]":
                    self._value((*path, position))
                    position += 1
                    self._comma()
                self._take()
            case "{":
                self._take()
                while self._skip_newlines().text != "}":
                    self._pair(path)
                    self._comma()
                self._take()
            case _:  # one value may be several tokens: 1.5, or a date, a space and a time
                self._take()
                while self._peek().kind not in {"newline", "end"} and self._peek().text not in {",", "]", "}"}:
                    self._take()

    def _comma(self) -> None:
        if self._skip_newlines().text == ",":
            self._take()


# --- strict reading ------------------------------------------------------------------------------------------------


@contextmanager
def at(*path: str | int) -> Iterator[None]:
    """Put `path` before the path of any fault found inside."""
    try:
        yield
    except FaultError as error:
        raise FaultError((*path, *error.path), error.fault) from error


@contextmanager
def name_lines(document: Document) -> Iterator[None]:
    """Turn any fault found inside into an error that starts with `FILE:LINE:`.

    Raises:
        InvalidInputError: A fault was found.
    """
    try:
        yield
    except FaultError as error:
        raise InvalidInputError(f"{document.source}:{document.line_of(error.path)}: {error.fault}") from error


class Section:
    """One table, read key by key; every complaint knows where it lies."""

    def __init__(self, value: Any, path: KeyPath, required: Collection[str], optional: Collection[str]) -> None:  # noqa: ANN401 - anything may stand in a file
        """Take a table whose keys must be `required` and may be `optional`.

        Raises:
            FaultError: It is no table, lacks a key, or has one that is not known.
        """
        if not isinstance(value, dict):
            raise FaultError(path, f"expected a table with keys such as {_quoted(sorted({*required, *optional})[:3])}.")
        known = sorted({*required, *optional})
        for key in value:
            if key not in known:
                raise FaultError((*path, key), f'unknown key "{key}". {suggest(key, known)}')
        for key in sorted(required):
            if key not in value:
                raise FaultError(path, f'the key "{key}" is missing. Add it.')
        self.value: dict[str, Any] = value
        self.path = path

    def text(self, key: str) -> str:
        """Return a text.

        Raises:
            FaultError: It is something else.
        """
        value = self.value[key]
        if not isinstance(value, str):
            raise FaultError((*self.path, key), f'"{key}" must be a text in quotes.')
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a text; none where the key is absent.

        Raises:
            FaultError: It is something else.
        """
        return self.text(key) if key in self.value else None

    def words(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; one text alone is a list of one, an absent key is an empty list.

        Raises:
            FaultError: It is something else.
        """
        value = self.value.get(key, [])
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise FaultError((*self.path, key), f'"{key}" must be a text in quotes, or a list of them.')
        for position, word in enumerate(value):
            if not isinstance(word, str):
                raise FaultError((*self.path, key, position), f'"{key}" must list texts in quotes.')
        return tuple(value)

    def integer(self, key: str, default: int) -> int:
        """Return a whole number.

        Raises:
            FaultError: It is something else.
        """
        value = self.value.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise FaultError((*self.path, key), f'"{key}" must be a whole number, like {default}.')
        return value

    def number(self, key: str, default: float) -> float:
        """Return a finite number, whole or not.

        Raises:
            FaultError: It is something else.
        """
        value = self.value.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise FaultError((*self.path, key), f'"{key}" must be a number, like {default}.')
        return value

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false.

        Raises:
            FaultError: It is something else.
        """
        value = self.value.get(key, default)
        if not isinstance(value, bool):
            raise FaultError((*self.path, key), f'"{key}" must be true or false, without quotes.')
        return value

    def section(self, key: str, required: Collection[str], optional: Collection[str]) -> "Section":
        """Return a table inside this one.

        Raises:
            FaultError: It is no table, lacks a key, or has one that is not known.
        """
        return Section(self.value[key], (*self.path, key), required, optional)

    def sections(self, key: str, required: Collection[str], optional: Collection[str]) -> "list[Section]":
        """Return the tables of an array of tables; none where the key is absent.

        Raises:
            FaultError: It is something else, or one of them lacks a key or has one that is not known.
        """
        value = self.value.get(key, [])
        if not isinstance(value, list):
            raise FaultError((*self.path, key), f"write [[{key}]], in double brackets: there can be several.")
        return [Section(item, (*self.path, key, place), required, optional) for place, item in enumerate(value)]


def check_words(
    words: Sequence[str], known: Collection[str], *path: str, what: str, may_be_empty: bool = False
) -> None:
    """Check that every word is known and none is repeated; `what` says in an error what the words name.

    Raises:
        FaultError: A word is not known, is repeated, or there is none.
    """
    if not words and not may_be_empty:
        raise FaultError(path, f"no {what} is named. Name at least one of {_quoted(known)}.")
    for position, word in enumerate(words):
        if word not in known:
            raise FaultError((*path, position), f'there is no {what} "{word}". {suggest(word, known)}')
    check_repeats(words, *path)


def check_repeats(words: Sequence[str], *path: str) -> None:
    """Check that no word stands twice.

    Raises:
        FaultError: One does.
    """
    for position, word in enumerate(words):
        if word in words[:position]:
            raise FaultError((*path, position), f'"{word}" is named twice. Remove one.')


def suggest(word: str, known: Collection[str]) -> str:
    """Return advice for a word that is not known: the nearest one that is, otherwise all of them."""
    nearest = difflib.get_close_matches(word, known, n=1)
    return f'Did you mean "{nearest[0]}"?' if nearest else f"Use one of {_quoted(known)}."


def _quoted(words: Collection[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
