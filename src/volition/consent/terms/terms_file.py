"""Terms files: a TOML file with the rules and the prose beside it; and the profiles that ship, which are such files.

An error in a file says `FILE:LINE:` and what to do.

    >>> load_profile("bundled").id
    'bundled'
"""

from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from volition.canonical import datetime_to_us
from volition.consent.terms.model import OPTIONAL_KEYS, REQUIRED_KEYS, Terms, build_terms
from volition.consent.terms.toml_file import FaultError, Section, at, name_lines, parse_toml, suggest
from volition.errors import InvalidInputError

PROFILES: Final = ("2023-03-31", "2023-07-27", "2023-08-07", "2023-08-11", "bundled", "granular")
"""The terms that ship with Volition, for `load_profile`."""


def read_terms(path: str | Path) -> Terms:
    """Read a terms file and the prose beside it.

    Raises:
        InvalidInputError: The file cannot be read or is not the format; the message starts with `FILE:LINE:`.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        msg = f"{file}: This terms file cannot be read: {_why(error)}. Check the path."
        raise InvalidInputError(msg) from error
    return _read(data, source=str(file), folder=file.parent)


def load_profile(name: str) -> Terms:
    """Return terms that ship with Volition, one of `PROFILES`.

    Raises:
        InvalidInputError: There is no such profile.
    """
    if name not in PROFILES:
        msg = f"There is no profile {name!r}. {suggest(name, PROFILES)}"
        raise InvalidInputError(msg)
    folder = resources.files(__package__) / "profiles"
    return _read((folder / f"{name}.toml").read_bytes(), source=f"{name}.toml", folder=folder)


def _read(data: bytes, *, source: str, folder: Traversable) -> Terms:
    document = parse_toml(data, source=source)
    with name_lines(document):
        top = Section(document.value, (), {*REQUIRED_KEYS, "text"}, OPTIONAL_KEYS)
        with at("effective"):
            effective_us = _us_of_toml(top.value["effective"])
        return build_terms(top, effective_us=effective_us, text=_prose(top.text("text"), folder), text_digest="")


def _prose(name: str, folder: Traversable) -> str:
    """Read the prose that lies beside a terms file."""
    fix = "Put the prose into a Markdown file beside this one, and its name here."
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise FaultError(("text",), f'"{name}" is not the plain name of a file. {fix}')
    try:
        prose = (folder / name).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise FaultError(("text",), f'"{name}" is not UTF-8 text in its line {line}. Save it as UTF-8.') from error
    except (OSError, ValueError) as error:
        raise FaultError(("text",), f'the prose "{name}" cannot be read: {_why(error)}. {fix}') from error
    if not prose.strip():
        raise FaultError(("text",), f'the prose "{name}" is empty. Say there in words what the rules say.')
    return prose


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _us_of_toml(value: object) -> int:
    fix = "Write it with a time zone and without quotes, like 2026-01-31T00:00:00Z."
    if not isinstance(value, datetime):
        raise FaultError((), f"this is no instant. {fix}")
    if value.tzinfo is None:
        raise FaultError((), f"this time has no time zone, so its instant is unknown. {fix}")
    return datetime_to_us(value)
