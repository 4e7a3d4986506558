"""Answers given elsewhere, as a table of another system has them: what is said in a row, by a mapping of its columns.

The field says consent import, or preference ingestion. A mapping says which columns hold whose answer it is, to what,
and when it was said, and what the words in them mean. What a row does not say clearly is set aside with a reason; a
blank cell says nothing.

    >>> mapping = ClaimMapping.from_toml('''
    ... source = "crm"
    ... data = ["content"]
    ... purpose = ["train"]
    ... [columns]
    ... party = "user"
    ... answer = "ai_training"
    ... said = "updated_at"
    ... ''')
    >>> [claim] = mapping.read({"user": "ada", "ai_training": "opt-out", "updated_at": "2024-05-01T10:00:00Z"})
    >>> claim.party, claim.yes, claim.data
    ('ada', False, ('content',))
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from volition.canonical import datetime_to_us, digest
from volition.consent.claim_presets import PRESETS
from volition.consent.terms.vocabulary import BUILT_IN, Vocabulary, leaves
from volition.errors import InvalidInputError

COLUMNS: Final = ("party", "account", "data", "purpose", "answer", "said", "until", "wording", "id", "source", "covers")
"""What a column of a row can hold."""

SOURCE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,99}")
"""How the ledger names a source."""

_YES: Final = (
    "yes y true t 1 on granted grant given accepted accept allowed allow agreed agree consented consent confirmed"
    " active opt_in opted_in optin subscribed enabled"
)
YES: Final = frozenset(_YES.split())
_NO: Final = (
    "no n false f 0 off denied deny refused refuse rejected reject declined decline revoked revoke withdrawn withdraw"
    " objected disallowed disagreed not_given not_granted inactive opt_out opted_out optout unsubscribed disabled"
)
NO: Final = frozenset(_NO.split())
"""Words for a no, as for a yes above: in lower case, with `_` between words."""

_TEXT_AT_MOST: Final = 65_536
_MET_AT_MOST: Final = 4_096  # names in cells that are remembered: nearly all rows have the same few
_SHORT: Final = 200  # characters of a cell that is remembered, at most
_SECOND_US: Final = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY_LONG: Final = 10  # characters


class UnclearClaimError(InvalidInputError):
    """Why a row is set aside, in words that repeat nothing of it."""


class Claim(NamedTuple):
    """One answer of a row; a tuple, since a data class takes three times as long to make.

    Attributes:
        party: Whose it is, as the row says: "account:ID", "person:ID", an id, or any name that they go by in `account`.
        account: The account in which they go by that; none where the row says none.
        yes: Whether it is a yes.
        data: Categories.
        purpose: Purposes.
        said_us: When it was said, microseconds since the Unix epoch, UTC.
        until_us: When a yes ends; none if it does not.
        wording: SHA-256 of the wording that was shown, in hexadecimal; none where the row has none.
        id: What the source calls it; none where it has no name.
        source: Where it was given.
    """

    party: str
    account: str | None
    yes: bool
    data: tuple[str, ...]
    purpose: tuple[str, ...]
    said_us: int
    until_us: int | None
    wording: str | None
    id: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerColumn:
    """A column that holds an answer of its own, and to what."""

    column: str
    data: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerList:
    """A column that holds many answers, each to a purpose that it names.

    Attributes:
        column: An object from names to answers, a list of objects, or, where `says` is set, a list of names; or, in a
            cell of CSV, the JSON of one of these.
        name: Of a list of objects, which field names the purpose.
        answer: And which has the answer.
        says: "yes" or "no": what being in the list says.
    """

    column: str
    name: str | None = None
    answer: str | None = None
    says: str | None = None

    def pairs(self, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield names and answers of a row."""
        told = _unpacked(_cell(row, self.column))
        if isinstance(told, Mapping):
            yield from ((str(name), answer) for name, answer in told.items())
        elif isinstance(told, list):
            for one in told:
                if self.says is not None and isinstance(one, str):
                    yield one, self.says
                elif self.says is None and isinstance(one, Mapping):
                    yield _plain(one.get(self.name)), one.get(self.answer)
                else:
                    raise UnclearClaimError("One of its lists of answers is of another form.")
        elif not _is_blank(told):
            raise UnclearClaimError("One of its lists of answers is of another form.")


class _Asked(NamedTuple):
    """One answer of a row: what tells it from the others there, its cell, and to what it is, where that is known."""

    label: str
    cell: Any
    data: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMapping:
    """Which column of a row holds what, and what its words mean.

    Attributes:
        source: Where the answers were given, as the ledger is to name it; a column may say so instead.
        columns: The column of each of `COLUMNS` that there is. A point in it leads into an object: `user.id`.
        account: The account in which people are known by their names, where no column says.
        is_account: Whether a party without a prefix is an account, not a person.
        data: Categories of every answer, where no column says.
        purpose: Purposes likewise.
        answers: Columns that hold an answer each; empty where the column `answer` holds the one.
        lists: Columns that hold many answers; what they name and `purpose_names` does not is nobody's question here.
        yes: Words for a yes, in lower case with `_` between words.
        no: Words for a no, likewise.
        silent: Words that say neither: such a cell is as good as blank.
        data_names: What the source calls categories.
        purpose_names: What it calls purposes.
        zone: The time zone of times without one; none: such times are refused.
        form: How times are written: "seconds", "milliseconds", "microseconds", a form of `strptime`, or none: ISO 8601.
        vocabulary: What can be named.
    """

    source: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    is_account: bool = False
    data: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()
    answers: tuple[AnswerColumn, ...] = ()
    lists: tuple[AnswerList, ...] = ()
    yes: frozenset[str] = YES
    no: frozenset[str] = NO
    silent: frozenset[str] = frozenset()
    data_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    purpose_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone: ZoneInfo | None = None
    form: str | None = None
    vocabulary: Vocabulary = BUILT_IN
    _met: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def plain(cls, source: str = "") -> Self:
        """Return the mapping of rows whose columns have the names of `COLUMNS`."""
        return cls(source=source, columns={name: name for name in COLUMNS})

    @classmethod
    def from_toml(cls, text: str, *, preset: str | None = None) -> Self:
        """Read a mapping.

        Args:
            text: The mapping, as TOML; with a preset, what it does not say, or what is otherwise.
            preset: One of `PRESETS`.

        Raises:
            InvalidInputError: It is no TOML, names something that there is not, or lacks what every answer needs; or
                there is no such preset.
        """
        if preset is not None and preset not in PRESETS:
            raise InvalidInputError(f"There is no preset {preset!r}. Use one of: {', '.join(sorted(PRESETS))}.")
        try:
            told = _over({} if preset is None else tomllib.loads(PRESETS[preset]), tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise InvalidInputError(f"The mapping is no TOML: {error}.") from error
        _only(told, "source of account data purpose columns answers lists words names times", "The mapping")
        columns = told.get("columns", {})
        _only(columns, " ".join(COLUMNS), "[columns] of the mapping")
        words, names, times = (told.get(name, {}) for name in ("words", "names", "times"))
        _only(words, "yes no none", "[words] of the mapping")
        _only(names, "data purpose", "[names] of the mapping")
        _only(times, "zone form", "[times] of the mapping")
        if told.get("of", "person") not in {"person", "account"}:
            raise InvalidInputError('`of` in the mapping is "person" or "account": whose answers these are.')
        mapping = cls(
            source=str(told.get("source", "")),
            columns={name: str(column) for name, column in columns.items() if column != ""},
            account=told.get("account"),
            is_account=told.get("of") == "account",
            data=_names(told.get("data", ())),
            purpose=_names(told.get("purpose", ())),
            answers=tuple(map(_answer_column, told.get("answers", ()))),
            lists=tuple(map(_answer_list, told.get("lists", ()))),
            yes=frozenset(map(_word, words["yes"])) if "yes" in words else YES,
            no=frozenset(map(_word, words["no"])) if "no" in words else NO,
            silent=frozenset(map(_word, words.get("none", ()))),
            data_names={name: _names(ours) for name, ours in names.get("data", {}).items()},
            purpose_names={name: _names(ours) for name, ours in names.get("purpose", {}).items()},
            zone=_zone(times.get("zone")),
            form=times.get("form"),
        )
        mapping.check()
        return mapping

    def check(self) -> None:
        """Check that the mapping can say all that an answer needs. Raises InvalidInputError."""
        for name in ("party", "said"):
            if name not in self.columns:
                raise InvalidInputError(f"The mapping does not say in which column `{name}` is. Add it to [columns].")
        if [bool(self.answers), bool(self.lists), "answer" in self.columns].count(True) != 1:
            raise InvalidInputError("The mapping names the column `answer`, or several in [[answers]], or [[lists]].")
        if self.lists and not self.purpose_names:
            raise InvalidInputError("The mapping does not say in [names.purpose] what names in [[lists]] stand for.")
        for name, fixed in (("data", self.data), ("purpose", self.purpose or self.lists)):
            each = self.answers and all(getattr(one, name) for one in self.answers)
            if not fixed and not each and name not in self.columns:
                raise InvalidInputError(f"The mapping does not say what the `{name}` of an answer is.")
        if self.source and not SOURCE.fullmatch(self.source):
            raise InvalidInputError(
                "`source` in the mapping is 1 to 100 of: letters, digits, spaces, . _ : / - and begins with one of the "
                "first two."
            )
        if not self.source and "source" not in self.columns:
            raise InvalidInputError("Say where the answers were given: `source` in the mapping.")
        both = self.yes & self.no | (self.yes | self.no) & self.silent
        if both:
            raise InvalidInputError(f"The mapping says of {min(both)!r} two things.")

    def within(self, vocabulary: Vocabulary) -> Self:
        """Return this mapping for a workspace in which so much can be named.

        Raises:
            InvalidInputError: It says something that cannot be meant, or names what there is not.
        """
        self.check()
        for data in (self.data, *(one.data for one in self.answers), *self.data_names.values()):
            vocabulary.leaves_of_data(data)
        for purpose in (self.purpose, *(one.purpose for one in self.answers), *self.purpose_names.values()):
            vocabulary.leaves_of_use(purpose)
        return replace(self, vocabulary=vocabulary)

    @property
    def read_columns(self) -> tuple[str, ...]:
        """All columns that it names, each once: a table has them, or this is not its mapping."""
        answers, lists = (one.column for one in self.answers), (one.column for one in self.lists)
        return tuple(dict.fromkeys((*self.columns.values(), *answers, *lists)))

    def read(self, row: Mapping[str, Any]) -> Iterator[Claim | UnclearClaimError | None]:
        """Yield what each answer of a row says; or why it is set aside; or none where its cell is blank."""
        try:
            about = self._about(row)
            asked = [*self._asked(row)]
        except UnclearClaimError as fault:
            yield fault
            return
        for one in asked:
            try:
                yield self._answer(row, one, about)
            except UnclearClaimError as fault:
                yield fault

    def _asked(self, row: Mapping[str, Any]) -> Iterator[_Asked]:
        if "answer" in self.columns:
            yield _Asked("", _cell(row, self.columns["answer"]))
        for one in self.answers:
            yield _Asked(one.column, _cell(row, one.column), one.data, one.purpose)
        for listed in self.lists:
            for name, answer in listed.pairs(row):
                ours = self.purpose_names.get(name)
                yield _Asked(name, answer if ours else None, purpose=ours or ())

    def _about(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what all answers of a row have in common."""
        party = self._text(row, "party")
        if party is None:
            raise UnclearClaimError("It does not say whose answer it is.")
        if self._text(row, "covers") is not None:
            raise UnclearClaimError("It reaches back before it was given: an imported yes never does.")
        source = self._text(row, "source") or self.source
        if not SOURCE.fullmatch(source):
            raise UnclearClaimError(
                "It does not say where the answer was given, or under a name that the ledger cannot have."
            )
        wording = self._text(row, "wording")
        if self.is_account and ":" not in party:
            party = f"account:{party}"
        return {
            "party": party,
            "account": self._text(row, "account") or self.account,
            "source": source,
            "id": self._text(row, "id"),
            "wording": None if wording is None else _digest_of(wording),
        }

    def _answer(self, row: Mapping[str, Any], asked: _Asked, about: dict[str, Any]) -> Claim | None:
        text = _plain(asked.cell)
        word = _short_word(text) if len(text) <= _SHORT else _word(text)
        if not word or word in self.silent:
            return None
        if word not in self.yes and word not in self.no:
            raise UnclearClaimError("Its answer is neither one of the words for a yes nor one of those for a no.")
        yes = word in self.yes
        told = _cell(row, self.columns["said"])
        if _is_blank(told):
            raise UnclearClaimError("It does not say when the answer was given.")
        ends = _cell(row, self.columns["until"]) if "until" in self.columns else None
        if asked.label and about["id"] is not None:
            about = about | {"id": f"{about['id']}/{asked.label}"}
        return Claim(
            yes=yes,
            data=asked.data or self._uses(row, "data", self.data, self.data_names, self.vocabulary.categories),
            purpose=asked.purpose
            or self._uses(row, "purpose", self.purpose, self.purpose_names, self.vocabulary.purposes),
            said_us=self.instant_us(told, latest=yes),
            until_us=None if _is_blank(ends) or not yes else self.instant_us(ends, latest=False),
            **about,
        )

    def _text(self, row: Mapping[str, Any], name: str) -> str | None:
        column = self.columns.get(name)
        value = None if column is None else _cell(row, column)
        if value is None:
            return None
        if type(value) is not str and not isinstance(value, str | int):  # the first is quick, and nearly always enough
            raise UnclearClaimError(f"Its {name} is no text.")
        text = _plain(value)
        if len(text) > _TEXT_AT_MOST:
            raise UnclearClaimError(f"Its {name} is too long.")
        return text or None

    def _uses(
        self,
        row: Mapping[str, Any],
        name: str,
        fixed: tuple[str, ...],
        known: Mapping[str, tuple[str, ...]],
        universe: Sequence[str],
    ) -> tuple[str, ...]:
        if name not in self.columns or _is_blank(told := _cell(row, self.columns[name])):
            if fixed:
                return fixed
            raise UnclearClaimError(f"It does not say for which {name} the answer is.")
        text = told if isinstance(told, str) and len(told) <= _SHORT else None
        if text is not None and (name, text) in self._met:
            return self._met[name, text]
        words = told if isinstance(told, list | tuple) else re.split("[,;|]", _plain(told))
        found: dict[str, None] = {}
        for word in (text for text in map(_plain, words) if text):
            ours = known.get(word, ()) if known else _ours(word, tuple(universe))
            if not ours:
                raise UnclearClaimError(
                    f"One of its names for {name} is not known: the mapping can say what it stands for."
                )
            found |= dict.fromkeys(ours)
        if not found:
            raise UnclearClaimError(f"It does not say for which {name} the answer is.")
        if text is not None and len(self._met) < _MET_AT_MOST:
            self._met[name, text] = tuple(found)
        return tuple(found)

    def instant_us(self, value: Any, *, latest: bool) -> int:  # noqa: ANN401 - any cell
        """Return an instant as microseconds since the Unix epoch.

        Args:
            value: The cell.
            latest: Whether of several instants that may be meant the last is taken, else the first: a day is long, and
                an hour that comes twice is there twice. A yes counts from the latest of these, a no from the first.

        Raises:
            UnclearClaimError: It is no instant, or has no time zone and the mapping names none.
        """
        if self.form in _SECOND_US:
            return _number_us(value, _SECOND_US[self.form])
        if isinstance(value, datetime):
            return self._zoned_us(value, latest=latest)
        if isinstance(value, date):
            return self._day_us(value, latest=latest)
        text = _plain(value)
        try:
            if self.form is None and len(text) == _DAY_LONG and _DAY.fullmatch(text):
                return self._day_us(date.fromisoformat(text), latest=latest)
            moment = datetime.fromisoformat(text) if self.form is None else datetime.strptime(text, self.form)  # noqa: DTZ007
        except ValueError:
            raise UnclearClaimError("Its time cannot be read as one.") from None
        return self._zoned_us(moment, latest=latest)

    def _zoned_us(self, moment: datetime, *, latest: bool) -> int:
        if moment.tzinfo is None:
            if self.zone is None:
                raise UnclearClaimError("Its time has no time zone, and the mapping names none.")
            found = [datetime_to_us(moment.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1)]
            return max(found) if latest else min(found)
        try:
            return datetime_to_us(moment)
        except OverflowError:
            raise UnclearClaimError("Its time cannot be read as one.") from None

    def _day_us(self, day: date, *, latest: bool) -> int:
        if self.zone is None:
            raise UnclearClaimError("Its time is a day without a time zone, and the mapping names none.")
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        if not latest:
            return datetime_to_us(start)
        try:
            after = day + timedelta(days=1)
        except OverflowError:
            raise UnclearClaimError("Its time cannot be read as one.") from None
        return datetime_to_us(datetime(after.year, after.month, after.day, tzinfo=self.zone)) - 1


@lru_cache(256)  # a source shows few wordings
def _digest_of(wording: str) -> str:
    return digest(wording.encode(errors="surrogatepass"))


def _cell(row: Mapping[str, Any], column: str) -> Any:  # noqa: ANN401 - any cell
    """Return a cell; where no column has that name, a point leads into an object."""
    value: Any = row.get(column)
    if value is not None or column in row or "." not in column:
        return value
    value = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> str:  # noqa: ANN401 - any cell
    return value.strip() if type(value) is str else "" if value is None else str(value).strip()


@lru_cache(4096)
def _ours(word: str, universe: tuple[str, ...]) -> tuple[str, ...]:
    try:
        leaves((word,), universe)
    except InvalidInputError:
        return ()
    return (word,)


def _unpacked(cell: Any) -> Any:  # noqa: ANN401 - any cell
    """Return a cell, or what it holds as JSON."""
    if not isinstance(cell, str) or not cell.lstrip().startswith(("{", "[")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise UnclearClaimError("One of its lists of answers is no JSON.") from None


def _is_blank(value: Any) -> bool:  # noqa: ANN401 - any cell
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _word(text: str) -> str:
    return re.sub(r"[\s-]+", "_", str(text).strip().casefold())


_short_word = lru_cache(4_096)(_word)  # nearly all rows have the same few


def _number_us(value: Any, unit_us: int) -> int:  # noqa: ANN401 - any cell
    text = _plain(value)
    if not re.fullmatch(r"\d{1,16}(\.\d{1,9})?", text):
        raise UnclearClaimError("Its time is no number.")
    whole, _, part = text.partition(".")
    return int(whole) * unit_us + (int(part.ljust(9, "0")) * unit_us // 10**9 if part else 0)


def _names(words: Any) -> tuple[str, ...]:  # noqa: ANN401 - any TOML value
    names = (words,) if isinstance(words, str) else tuple(words)
    if not all(isinstance(name, str) for name in names):
        raise InvalidInputError("A name of data or a purpose in the mapping is no text.")
    return names


def _answer_column(told: Mapping[str, Any]) -> AnswerColumn:
    _only(told, "column data purpose", "[[answers]] of the mapping")
    if "column" not in told:
        raise InvalidInputError("Each of [[answers]] in the mapping names its `column`.")
    return AnswerColumn(
        column=str(told["column"]),
        data=_names(told.get("data", ())),
        purpose=_names(told.get("purpose", ())),
    )


def _answer_list(told: Mapping[str, Any]) -> AnswerList:
    _only(told, "column name answer says", "[[lists]] of the mapping")
    if "column" not in told or told.get("says", "yes") not in {"yes", "no"} or ("name" in told) != ("answer" in told):
        raise InvalidInputError("Each of [[lists]] names its `column`, and what the names in it say: see the manual.")
    return AnswerList(**{key: str(value) for key, value in told.items()})


def _over(preset: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preset with what a mapping of one's own says over it, table by table."""
    both = {**preset, **own}
    for name in preset.keys() & own.keys():
        if isinstance(preset[name], dict) and isinstance(own[name], dict):
            both[name] = {**preset[name], **own[name]}
    if {"answers", "lists"} & own.keys() and "columns" in both and "answer" not in own.get("columns", {}):
        both["columns"] = {name: column for name, column in both["columns"].items() if name != "answer"}
    return both


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(f"There is no time zone {name!r}. Write it like Europe/Berlin.") from error


def _only(told: Any, keys: str, where: str) -> None:  # noqa: ANN401 - any TOML value
    if not isinstance(told, Mapping):
        raise InvalidInputError(f"{where} is no table.")
    unknown = sorted(set(told) - set(keys.split()))
    if unknown:
        raise InvalidInputError(
            f"{where} has {unknown[0]!r}, which nobody reads. Use one of: {', '.join(keys.split())}."
        )
