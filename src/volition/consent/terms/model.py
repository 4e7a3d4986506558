"""Terms: what may be done with which data, for which purpose, and whose yes it takes (purpose limitation).

A terms version is prose for people and rules for machines. This module gives the rules their meaning:

- The most specific rule wins: one with a region over one without, then the longer category, then the longer purpose.
- What no rule mentions is forbidden: default deny.
- Terms that contradict themselves cannot be built: two rules that tie somewhere, or one that never applies, are
  errors, and an error in a file says `FILE:LINE:` and what to do.
- Anything that is not the format is an error: an unknown key, a word that does not exist, a time without a time zone.

    >>> from volition.consent.terms.terms_file import load_profile
    >>> terms = load_profile("granular")
    >>> terms.rule_for("content/chat", "train/compose", "DE").asks
    ('account', 'everyone')
    >>> terms.rule_for("content/chat", "tracking").basis
    <Basis.NEVER: 'never'>
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Any, Final

from volition.canonical import canonical_json, digest, text_to_us, us_to_text
from volition.consent.terms.regions import EEA, check_region, region_matches
from volition.consent.terms.toml_file import FaultError, Section, at, check_repeats, check_words
from volition.consent.terms.vocabulary import (
    BUILT_IN,
    Category,
    Purpose,
    Vocabulary,
    check_declared,
    covers,
    is_name,
    names_of,
    read_declared,
)
from volition.errors import InvalidInputError

CATEGORIES: Final = BUILT_IN.categories
"""The built-in kinds of data. What a workspace knows besides, the `vocabulary` of its terms and of its history says."""

PURPOSES: Final = BUILT_IN.purposes
"""The built-in purposes, likewise."""

PARTY_WORDS: Final = ("account", "person", "everyone")
"""Whose yes a rule can ask for: the account; the record's first person (its speaker or actor); all its people."""

SIGNALS: Final = ("gpc",)
"""Lasting browser signals (opt-out preference signals) that terms can count as a refusal: Global Privacy Control."""

ACCEPTANCES: Final = ("continued-use", "explicit")
"""How a new version comes to bind an account: by going on using the service, or only once accepted."""

DEFAULT_NOTICE_DAYS: Final = 30
MAX_JSON_BYTES: Final = 60_000
"""Terms must fit into one ledger entry with room to spare."""

_TERMS_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SWITCH_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MAX_TITLE: Final = 200
_MAX_NOTICE_DAYS: Final = 3650
_DAY_US: Final = 86_400_000_000
_LONGEST_YES_US: Final = 36_500 * _DAY_US
_AGE: Final = re.compile(r"([1-9][0-9]{0,17})(d|us)")
_END_OF_TIME_US: Final = 253_402_300_800_000_000  # the year 10000


class Basis(StrEnum):
    """On what (legal) basis a use rests."""

    CONTRACT = "contract"  # no yes is asked; those who may refuse can
    CONSENT = "consent"  # a yes is asked
    NEVER = "never"  # forbidden, whatever anyone says


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """For a kind of data and a purpose: the basis, whose yes is asked for, and who may refuse.

    Attributes:
        data: Category names; each covers all below it.
        purpose: Purpose names; each covers all below it.
        region: Country codes, subdivisions ("US-CA") or "EEA"; empty means everywhere.
        basis: On what basis the use rests.
        asks: Whose yes it takes, of `PARTY_WORDS`.
        refusable_by: Whose no counts although no yes is asked of them, of `PARTY_WORDS`.
        max_age_us: Age beyond which a record is not permitted, in microseconds; none means no limit.
        max_yes_age_us: Age at which a yes that the rule asks for ends, so that it must be said anew, in microseconds;
            none means that it does not age.
        scrub: Whether personal identifiers inside content are scrubbed from training sets.
    """

    data: tuple[str, ...]
    purpose: tuple[str, ...]
    region: tuple[str, ...] = ()
    basis: Basis
    asks: tuple[str, ...] = ()
    refusable_by: tuple[str, ...] = ()
    max_age_us: int | None = None
    max_yes_age_us: int | None = None
    scrub: bool = True

    def __post_init__(self) -> None:
        """Refuse what has no meaning. Whether the data and purposes that it names exist, the terms say.

        Raises:
            InvalidInputError: A party or a region does not exist, or the parties named do not fit the basis.
        """
        check_words(self.asks, PARTY_WORDS, "asks", what="party", may_be_empty=True)
        check_words(self.refusable_by, PARTY_WORDS, "refusable_by", what="party", may_be_empty=True)
        for position, region in enumerate(self.region):
            if region != "EEA":
                with at("region", position):
                    check_region(region)
        check_repeats(self.region, "region")
        if self.basis is Basis.CONSENT and not self.asks:
            raise FaultError(("asks",), 'basis "consent" asks nobody. Say whose yes it takes: asks = ["account"].')
        if self.basis is not Basis.CONSENT and self.asks:
            fix = 'Use basis = "consent"' + (", or refusable_by." if self.basis is Basis.CONTRACT else ".")
            raise FaultError(("asks",), f'basis "{self.basis}" asks for nobody\'s yes. {fix}')
        if self.basis is Basis.NEVER and self.refusable_by:
            raise FaultError(("refusable_by",), 'basis "never" leaves nothing to refuse. Remove refusable_by.')
        if self.max_age_us is not None and self.max_age_us <= 0:
            raise FaultError(("max_age",), "a largest age must be more than nothing.")
        if self.max_yes_age_us is not None:
            if not self.asks:
                raise FaultError(("max_yes_age",), "only a yes that is asked for can age. Name whose in asks.")
            if not 0 < self.max_yes_age_us <= _LONGEST_YES_US:
                raise FaultError(("max_yes_age",), "a yes lasts more than nothing and at most 36500d, a hundred years.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A setting on a page: what turning it off refuses, and which features it turns off as well.

    Attributes:
        name: Short name, lower case, for addresses and the command line.
        title: What the page calls it.
        refuses: Purpose names for which off is a no.
        disables: Purpose names of features that off turns off besides.
    """

    name: str
    title: str
    refuses: tuple[str, ...]
    disables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a switch without a name. Whether the purposes that it names exist, the terms say.

        Raises:
            InvalidInputError: The name or title is none.
        """
        if not _SWITCH_NAME.fullmatch(self.name):
            raise FaultError(("name",), f'"{self.name}" is no name. Use lower-case letters, digits and hyphens.')
        _check_title(self.title)


_Table = dict[tuple[str, str], Rule | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A terms version: prose for people, rules for machines.

    Two versions are equal when their machine parts are, and the digests of their prose.

    Attributes:
        id: Name of the version.
        title: Its title.
        effective_us: Instant from which it can bind.
        acceptance: How it comes to bind an account, of `ACCEPTANCES`.
        text: The prose, Markdown; empty where only its digest is known.
        notice_days: How long ahead a version that newly allows something is announced.
        rules: What is allowed, in the file's order, which has no meaning.
        switches: The settings that a page shows, in the page's order.
        signals: For each lasting signal, the purpose leaves for which it is a refusal.
        categories: The kinds of data that it declares beside the built-in ones.
        purposes: The purposes likewise.
        text_digest: SHA-256 of the prose, worked out from `text` where that is given.
        vocabulary: What its rules can name: the built-in names and those that it declares.
    """

    id: str
    title: str
    effective_us: int
    acceptance: str
    text: str = field(default="", compare=False, repr=False)
    notice_days: int = DEFAULT_NOTICE_DAYS
    rules: tuple[Rule, ...]
    switches: tuple[Switch, ...] = ()
    signals: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    categories: tuple[Category, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    text_digest: str = ""
    vocabulary: Vocabulary = field(init=False, compare=False, repr=False)
    _tables: Mapping[str | None, _Table] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse terms that contradict themselves, and work out every answer ahead.

        Raises:
            InvalidInputError: Two rules tie, a rule never applies, a name is wrong or taken, the terms are too large.
        """
        if not _TERMS_ID.fullmatch(self.id):
            raise FaultError(("id",), f'"{self.id}" is no id. Use up to 64 letters, digits, ".", "_" and "-".')
        _check_title(self.title)
        check_words([self.acceptance], ACCEPTANCES, "acceptance", what="acceptance")
        if not 0 <= self.effective_us < _END_OF_TIME_US:
            raise FaultError(("effective",), "this instant lies outside the years 1970 to 9999.")
        if not 0 <= self.notice_days <= _MAX_NOTICE_DAYS:
            raise FaultError(("notice_days",), f"notice is a number of days from 0 to {_MAX_NOTICE_DAYS}.")
        if not self.rules:
            raise FaultError(("rule",), "these terms have no [[rule]], so they allow nothing. Add one.")
        object.__setattr__(self, "text_digest", _settle_digest(self.text, self.text_digest))
        check_declared(self.categories, self.purposes)
        vocabulary = BUILT_IN.joined([*self.categories, *self.purposes])
        object.__setattr__(self, "vocabulary", vocabulary)
        _check_names(self, vocabulary)
        signals = {name: vocabulary.leaves_of_use(purposes) for name, purposes in self.signals.items()}
        object.__setattr__(self, "signals", signals)
        object.__setattr__(self, "_tables", _tables(self.rules, vocabulary))
        size = len(canonical_json(self.to_json()))
        if size > MAX_JSON_BYTES:
            msg = f"these terms take {size:,} bytes; a ledger entry holds {MAX_JSON_BYTES:,}. Merge rules."
            raise FaultError((), msg)

    def rule_for(self, category: str, purpose: str, region: str | None = None) -> Rule | None:
        """Return the rule that judges a use, the most specific one; none means that it is forbidden.

        What only another version declares, this one does not speak of: it is forbidden.

        Args:
            category: A single kind of data.
            purpose: A single purpose.
            region: The party's region, a country code or a subdivision such as "US-CA"; none where it is unknown.

        Raises:
            InvalidInputError: A name is a root or no name at all, or the region no region.
        """
        table = self._tables.get(region)
        if table is None:
            region = check_region(region or "")  # only a region misses: none always has its table
            table = self._tables.get(region[:2], self._tables[None])
        try:
            return table[category, purpose]
        except KeyError:
            roots = {*names_of(self.vocabulary.categories), *names_of(self.vocabulary.purposes)}
            roots -= {*self.vocabulary.categories, *self.vocabulary.purposes}
            if any(name in roots or not is_name(name) for name in (category, purpose)):
                msg = f"{category!r} for {purpose!r} is no use: name a single category and a single purpose."
                raise InvalidInputError(msg) from None
            return None

    def rules_anywhere(self, category: str, purpose: str) -> tuple[Rule | None, ...]:
        """Return each rule that judges a use in some region, once; none among them where some region has no rule."""
        return tuple(dict.fromkeys(table.get((category, purpose)) for table in self._tables.values()))

    @property
    def digest(self) -> str:
        """SHA-256 of the machine part, which holds the digest of the prose."""
        return digest(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Return the machine part, named as in the file; `from_json` reads it back equal, save for the prose."""
        value: dict[str, Any] = {
            "id": self.id,
            "title": self.title,
            "effective": us_to_text(self.effective_us),
            "acceptance": self.acceptance,
            "text_digest": self.text_digest,
            "notice_days": self.notice_days,
            "rule": [_rule_to_json(rule) for rule in self.rules],
            "switch": [_switch_to_json(switch) for switch in self.switches],
            "signal": {name: {"refuses": list(purposes)} for name, purposes in self.signals.items()},
        }
        # A version that declares nothing is as it always was, to the byte.
        declared: dict[str, Sequence[Category | Purpose]] = {"category": self.categories, "purpose": self.purposes}
        return value | {key: [one.to_json() for one in found] for key, found in declared.items() if found}

    @classmethod
    def from_json(cls, value: Any) -> "Terms":  # noqa: ANN401 - anything may be in a ledger entry
        """Read the machine part of a terms version, as strictly as a file.

        Raises:
            InvalidInputError: The value is not what `to_json` writes.
        """
        top = Section(value, (), {*REQUIRED_KEYS, "text_digest"}, OPTIONAL_KEYS)
        effective = top.text("effective")
        with at("effective"):
            effective_us = _us_of_json(effective)
        return build_terms(top, effective_us=effective_us, text="", text_digest=top.text("text_digest"))


# --- which rule wins -----------------------------------------------------------------------------------------------


def _tables(rules: Sequence[Rule], vocabulary: Vocabulary) -> dict[str | None, _Table]:
    """Return the winning rule of every category leaf and purpose leaf, by region that any rule distinguishes.

    All other regions, and the unknown one, have the table of none; a subdivision no rule names has its country's.

    Raises:
        InvalidInputError: Two rules tie, or a rule never wins.
    """
    reaches = [
        (rule, _reach(rule.data, vocabulary.categories), _reach(rule.purpose, vocabulary.purposes)) for rule in rules
    ]
    forbidden: _Table = dict.fromkeys(product(vocabulary.categories, vocabulary.purposes))
    shared: dict[tuple[int, ...], _Table] = {}
    winning: set[int] = set()
    tables: dict[str | None, _Table] = {}
    for region in distinct_regions(rules):
        matching = tuple(number for number, rule in enumerate(rules) if region_matches(rule.region, region))
        if matching not in shared:
            won, winners = _contest(reaches, matching, region)
            shared[matching] = forbidden | won
            winning |= winners
        tables[region] = shared[matching]
    for number in range(len(rules)):
        if number not in winning:
            fault = "this rule never applies: others are more specific wherever it could. Remove or narrow it."
            raise FaultError(("rule", number), fault)
    return tables


def _reach(names: Iterable[str], universe: Sequence[str]) -> dict[str, int]:
    """Return the leaves that names cover, each with the length of the longest name that covers it."""
    reach: dict[str, int] = {}
    for name in sorted(names, key=len):
        reach.update((leaf, len(name)) for leaf in universe if covers(name, leaf))
    return reach


def distinct_regions(rules: Iterable[Rule]) -> list[str | None]:
    """Return every region that any rule names, "EEA" as its members; before them none, for all other regions."""
    named = {region for rule in rules for region in rule.region}
    return [None, *sorted(named - {"EEA"} | (EEA if "EEA" in named else frozenset()))]


def _contest(
    reaches: Sequence[tuple[Rule, dict[str, int], dict[str, int]]], matching: Iterable[int], region: str | None
) -> tuple[_Table, set[int]]:
    """Let the rules that match a region compete for every leaf pair; return the table and the numbers that won."""
    best: dict[tuple[str, str], tuple[tuple[bool, int, int], list[int]]] = {}
    for number in matching:
        rule, categories, purposes = reaches[number]
        for category, category_length in categories.items():
            for purpose, purpose_length in purposes.items():
                rank = (bool(rule.region), category_length, purpose_length)
                known = best.get((category, purpose))
                if known is None or rank > known[0]:
                    best[category, purpose] = (rank, [number])
                elif rank == known[0]:
                    known[1].append(number)
    for (category, purpose), (_, numbers) in best.items():
        if len(numbers) > 1:
            place = "" if region is None else f" in {region}"
            fault = (
                f"this rule and rule {numbers[0] + 1} are equally specific for {category} and {purpose}{place}. "
                "Merge them, or give one a longer category or purpose."
            )
            raise FaultError(("rule", numbers[1]), fault)
    table: _Table = {pair: reaches[numbers[0]][0] for pair, (_, numbers) in best.items()}
    return table, {numbers[0] for _, numbers in best.values()}


# --- reading -------------------------------------------------------------------------------------------------------

REQUIRED_KEYS: Final = {"id", "title", "effective", "acceptance", "rule"}
OPTIONAL_KEYS: Final = {"notice_days", "switch", "signal", "category", "purpose"}


def _us_of_json(text: str) -> int:
    try:
        return text_to_us(text)
    except InvalidInputError as error:
        raise FaultError((), str(error)) from error


def build_terms(top: Section, *, effective_us: int, text: str, text_digest: str) -> Terms:
    """Build terms from a checked top level: what a file and a ledger entry have in common.

    Raises:
        InvalidInputError: A value is not what the format asks for, or the terms contradict themselves.
    """
    signals = Section(top.value.get("signal", {}), ("signal",), set(), set(SIGNALS))
    categories, purposes = read_declared(top, is_entry=not text)
    return Terms(
        id=top.text("id"),
        title=top.text("title"),
        effective_us=effective_us,
        acceptance=top.text("acceptance"),
        text=text,
        notice_days=top.integer("notice_days", DEFAULT_NOTICE_DAYS),
        rules=tuple(map(_rule, top.sections("rule", _RULE_REQUIRED, _RULE_OPTIONAL))),
        switches=tuple(map(_switch, top.sections("switch", {"name", "title", "off"}, set()))),
        signals={name: signals.section(name, {"refuses"}, set()).words("refuses") for name in signals.value},
        categories=categories,
        purposes=purposes,
        text_digest=text_digest,
    )


_RULE_REQUIRED: Final = {"data", "purpose", "basis"}
_RULE_OPTIONAL: Final = {"region", "asks", "refusable_by", "max_age", "max_yes_age", "scrub"}


def _rule(section: Section) -> Rule:
    basis = section.text("basis")
    ages = {key: section.text(key) for key in ("max_age", "max_yes_age") if key in section.value}
    if "region" in section.value and not section.words("region"):
        raise FaultError(
            (*section.path, "region"), "no region is named. Remove the key for a rule that holds everywhere."
        )
    words = {key: section.words(key) for key in ("data", "purpose", "region", "asks", "refusable_by")}
    scrub = section.boolean("scrub", default=True)
    with at(*section.path):
        check_words([basis], list(Basis), "basis", what="basis")
        ages_us = {}
        for key, age in ages.items():
            with at(key):
                ages_us[f"{key}_us"] = _age_us(age)
        return Rule(
            basis=Basis(basis),
            max_age_us=ages_us.get("max_age_us"),
            max_yes_age_us=ages_us.get("max_yes_age_us"),
            scrub=scrub,
            **words,
        )


def _rule_to_json(rule: Rule) -> dict[str, Any]:
    """Write a rule as in the file: what is left out there is left out here."""
    value: dict[str, Any] = {"data": list(rule.data), "purpose": list(rule.purpose), "basis": str(rule.basis)}
    value.update((key, list(words)) for key in ("region", "asks", "refusable_by") if (words := getattr(rule, key)))
    for key, age_us in (("max_age", rule.max_age_us), ("max_yes_age", rule.max_yes_age_us)):
        if age_us is not None:
            days, rest_us = divmod(age_us, _DAY_US)
            value[key] = f"{age_us}us" if rest_us else f"{days}d"
    if not rule.scrub:
        value["scrub"] = False
    return value


def _age_us(text: str) -> int:
    match = _AGE.fullmatch(text)
    if match is None:
        raise FaultError((), f'"{text}" is no age. Write days, like "365d".')
    return int(match[1]) * (_DAY_US if match[2] == "d" else 1)


def _switch(section: Section) -> Switch:
    off = section.section("off", {"refuses"}, {"disables"})
    name, title = section.text("name"), section.text("title")
    refuses, disables = off.words("refuses"), off.words("disables")
    with at(*section.path):
        return Switch(name=name, title=title, refuses=refuses, disables=disables)


def _switch_to_json(switch: Switch) -> dict[str, Any]:
    off = {"refuses": list(switch.refuses), "disables": list(switch.disables)}
    return {"name": switch.name, "title": switch.title, "off": off}


def _settle_digest(text: str, text_digest: str) -> str:
    """Return the digest of the prose, or the one given where the prose is not at hand."""
    if text:
        return digest(text.encode())
    if not re.fullmatch("[0-9a-f]{64}", text_digest):
        raise FaultError(("text_digest",), "terms need prose, or the SHA-256 of their prose in hexadecimal.")
    return text_digest


def _check_names(terms: Terms, vocabulary: Vocabulary) -> None:
    """Refuse a rule, a switch or a signal that names what is not declared."""
    categories, purposes = names_of(vocabulary.categories), names_of(vocabulary.purposes)
    features = [name for name in purposes if covers("feature", name)]
    check_words(list(terms.signals), SIGNALS, "signal", what="signal", may_be_empty=True)
    for name, refuses in terms.signals.items():
        _check_known(refuses, purposes, "signal", name, "refuses", what="purpose")
    for number, rule in enumerate(terms.rules):
        with at("rule", number):
            _check_known(rule.data, categories, "data", what="category")
            _check_known(rule.purpose, purposes, "purpose", what="purpose")
    for number, switch in enumerate(terms.switches):
        with at("switch", number):
            _check_known(switch.refuses, purposes, "off", "refuses", what="purpose")
            _check_known(switch.disables, features, "off", "disables", what="feature", may_be_empty=True)
    _check_switches(terms.switches)


def _check_known(names: Sequence[str], known: Sequence[str], *path: str, what: str, may_be_empty: bool = False) -> None:
    """Refuse a name that is not known, and say how one of one's own is declared."""
    try:
        check_words(names, known, *path, what=what, may_be_empty=may_be_empty)
    except FaultError as error:
        place = error.path[-1]
        if isinstance(place, int) and is_name(names[place]) and "Use one of" in error.fault:
            table = "category" if what == "category" else "purpose"
            raise FaultError(error.path, f"{error.fault} Or declare it, in a table [[{table}]].") from None
        raise


def _check_switches(switches: Sequence[Switch]) -> None:
    names = [switch.name for switch in switches]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise FaultError(("switch", position, "name"), f'a switch "{name}" exists already. Rename this one.')


def _check_title(title: str) -> None:
    if not title.strip() or len(title) > _MAX_TITLE or not title.isprintable():
        raise FaultError(("title",), f"a title is one line of 1 to {_MAX_TITLE} characters.")
