"""The log: one line for each record on standard error, as text for people or as JSON for a collector.

A log is copied, shipped and kept by programs that know nothing of consent, and an erasure does not reach it. So no line
holds personal data, at any level:

- Of an exception a line has the class, and the places in the code that it came through. Its message is left out, since
  it may quote what somebody sent; errors about locks, damaged files and the disk keep theirs, which name files alone.
- A line of another package (but the web server's own) has its level and its place in the code, for the same reason.
- Requests are named by the route's template, never by their path, which holds ids and the secrets of guests' links.

Each line has the ids of the request and the job that it is about (`correlation`).
"""

import errno
import json
import logging
import sqlite3
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from volition.errors import BusyError, DamagedError, MissingExtraError
from volition.server.correlation import REQUEST, RUN
from volition.server.settings import LogSettings

_OURS: Final = ("volition", "uvicorn")
_KEEP_THEIR_WORDS: Final = (BusyError, DamagedError, MissingExtraError)
_FRAMES: Final = 40
_log = logging.getLogger(__name__)


def set_up_logging(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """Have everything that this process logs written as the settings say; also what ends a thread.

    Args:
        settings: The form of lines, and from which level on they are written.
        stream: Where to; by default standard error.
    """
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonLines() if settings.form == "json" else _TextLines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.level.upper())
    threading.excepthook = _thread_ended
    sys.unraisablehook = _unraisable


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        _log.error("A thread ended by a fault", exc_info=ended.exc_value)


def _unraisable(ended: Any) -> None:  # noqa: ANN401 - typeshed's class of it exists for type checkers alone
    _log.error("A fault where nothing can be raised", exc_info=ended.exc_value)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Say that a line could not be written, where the standard library would print what it was to hold."""
        self.stream.write(f"A line of {record.name} could not be written ({record.module}.py:{record.lineno}).\n")


class _TextLines(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, and a line for each place of an error."""
        ids = " ".join(f"{name}={value}" for name, value in _ids().items())
        line = f"{_time(record)} {record.levelname} {record.name}: {_message(record)}{f' [{ids}]' if ids else ''}"
        return "\n".join([line, *(f"    {one}" for one in _error(record))])


class _JsonLines(logging.Formatter):
    """Lines for programs: JSON objects."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_ids(),
            **getattr(record, "fields", {}),
        }
        if error := list(_error(record)):
            line["error"] = error
        return json.dumps(line, ensure_ascii=True)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ids() -> dict[str, str]:
    request, run = REQUEST.get(), RUN.get()
    found = (
        {} if request is None else {"request_id": request.request, "trace_id": request.trace, "span_id": request.span}
    )
    return {**found, "run_id": run} if run else found


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] not in _OURS:
        return f"a message of another package, left out ({record.module}.py:{record.lineno})"
    if not record.args:
        text = str(record.msg)
    else:
        given = record.args if isinstance(record.args, tuple) else (record.args,)
        text = str(record.msg) % tuple(told(one) if isinstance(one, BaseException) else one for one in given)
    return "".join(one if one.isprintable() else " " for one in text)  # one record is one line


def _error(record: logging.LogRecord) -> Iterator[str]:
    """Yield what a record's exception was, and those before it, the last raised first, each with its places."""
    error = record.exc_info[1] if record.exc_info else None
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield told(error)
        yield from (f"{_short(one.filename)}:{one.lineno} {one.name}" for one in _frames(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def told(error: BaseException) -> str:
    """Return what may be said of an exception: its class, where it was raised, and its words where they name nobody."""
    name = type(error).__name__
    if isinstance(error, _KEEP_THEIR_WORDS):
        return f"{name}: {error}"
    if isinstance(error, sqlite3.Error):
        name = f"{name} {getattr(error, 'sqlite_errorname', '')}".strip()
    elif isinstance(error, OSError) and error.errno is not None:
        name = f"{name} {errno.errorcode.get(error.errno, error.errno)}"
    if frames := _frames(error):
        return f"{name} ({_short(frames[-1].filename)}:{frames[-1].lineno})"
    return name


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the innermost places that an exception came through, without the text of the lines."""
    found = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    return list(found)[-_FRAMES:]


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-3:])
