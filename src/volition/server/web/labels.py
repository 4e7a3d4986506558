"""The labels of pages, in plain words: one table for each vocabulary. A test checks that none is missing."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from volition.canonical import us_to_datetime
from volition.consent.choices import Choice, ChoiceLine
from volition.consent.history import BEGINNING_US
from volition.consent.permits import Reason, Refusal, Say
from volition.consent.terms.vocabulary import BUILT_IN, Purpose, Vocabulary, covers, root_of
from volition.learning.families.installed import installed_families
from volition.server.auth import Role


class _Spoken:
    """Which vocabulary names things while a page or a letter is made; it is read when the first name is needed."""

    def __init__(self, read: Callable[[], Vocabulary]) -> None:
        self._read = read

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return self._read()


_BUILT_IN_WORDS: Final = _Spoken(lambda: BUILT_IN)
_spoken: Final[ContextVar[_Spoken | None]] = ContextVar("spoken", default=None)


@contextmanager
def speaking(read: Callable[[], Vocabulary]) -> Iterator[None]:
    """Call kinds of data and purposes as a workspace's terms do, in what is made inside, as a locale is set.

    Outside, and for names that no terms describe, the built-in words count, or the name itself.
    """
    token = _spoken.set(_Spoken(read))
    try:
        yield
    finally:
        _spoken.reset(token)


def vocabulary() -> Vocabulary:
    """Return what can be named where this page or letter is made."""
    return (_spoken.get() or _BUILT_IN_WORDS).vocabulary


def purpose(name: str) -> Purpose:
    """Return what a purpose, or a root of several, is called, and what it does."""
    return vocabulary().purpose(name)


def category(name: str) -> str:
    """Say what a kind of data, or a root of several, is, as words within a sentence."""
    return vocabulary().category(name).words


REASON: Final[Mapping[Reason, str]] = {
    Reason.NEVER: "the terms forbid it",
    Reason.NO_TERMS: "your organisation has not accepted any terms",
    Reason.NOT_ASKED: "a yes that it needs was not given",
    Reason.SAID_NO: "the answer is no",
    Reason.WITHDRAWN: "a yes was withdrawn",
    Reason.BEFORE_YES: "it was collected before this was allowed",
    Reason.TOO_OLD: "it is older than the terms allow",
    Reason.ERASED: "this person or account was erased",
    Reason.UNKNOWN_PARTY: "it is not known whom it concerns",
    Reason.STALE: "the latest answers could not be read",
    Reason.LIMITED: "the account limits it",
    Reason.EXPIRED: "a yes has ended",
    Reason.EXCLUDED: "this conversation was left out",
}

SIGNAL: Final = "a signal from your browser (Global Privacy Control) counts as a no"

REASON_BY_NAME: Final[Mapping[str, str]] = {reason.value: detail for reason, detail in REASON.items()}

ROLE: Final[Mapping[Role, str]] = {
    Role.PERSON: "Person",
    Role.GUEST: "Guest",
    Role.ADMINISTRATOR: "Administrator",
    Role.ENGINEER: "Engineer",
    Role.AUDITOR: "Auditor",
    Role.OPERATOR: "Operator",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What an audit's figure is called.

    Attributes:
        title: Its name on a chart.
        means: What it says and which way is good, in a sentence.
        of: What it is measured on, in the plural; empty where that is the family's own (`family_words`).
        drawn: What a chart of it says, for a risk that is the reader's own.
    """

    title: str
    means: str
    of: str = ""
    drawn: str = ""


MEASURE: Final[Mapping[str, Measure]] = {
    "benefit": Measure(
        title="Better with training",
        means="How much better the feature works with training than without. To the right of zero is better.",
    ),
    "own data": Measure(
        title="Gain from this data",
        means="How much of that comes from this person's or account's own data. To the right of zero, it helps.",
    ),
    "attack": Measure(
        title="Being recognised",
        means="How often someone who has the model can tell whose data it learned from (membership inference). Left is "
        "safer.",
        of="people",
        drawn="How many of 100 people are recognised",
    ),
    "fairness": Measure(
        title="Uneven quality",
        means="The largest difference between groups of people in how well it works. Left is fairer.",
    ),
    "poisoning": Measure(
        title="Harm by one person or account",
        means="How far the data of the one person or account that harms the model most stands out (data poisoning). "
        "Left is safer.",
    ),
    "canary": Measure(
        title="Repeating secrets",
        means="How much more often than by chance the model repeats what one person wrote (memorisation). "
        "Left is safer.",
        of="sequences",
        drawn="How far a model gives away what one person wrote, in bits",
    ),
}
"""By audit, and `own data`."""

_ONE: Final[Mapping[str, str]] = {"people": "person"}

_ASKS: Final[Mapping[str, str]] = {
    "account": "your organisation's",
    "person": "that of the person who speaks or acts",
    "everyone": "that of everyone in it",
}


def bounded(card: Mapping[str, Any]) -> str:
    """Say what limits how much an adapter keeps of one person, from its card; empty for other families."""
    base, claimed = card.get("base"), card.get("privacy")
    if base is None:
        return ""
    of = f"It adapts the language model '{base['name']}', which itself is not changed."
    if claimed is None:
        return (
            f"{of} It was trained without differential privacy: how much it keeps of one person is measured, "
            "not limited."
        )
    return (
        f"{of} It was trained with differential privacy for each person: epsilon {claimed['epsilon']:.2f} at delta "
        f"{claimed['delta']:g}. The smaller epsilon is, the less the model can reveal whether a person's "
        "data was in it."
    )


def categories(names: Iterable[str]) -> str:
    """Say a set of kinds of data in words; a whole group is said as one."""
    groups, single = _grouped(names, vocabulary().categories)
    return listed([category(name) for name in (*groups, *single)])


def _grouped(names: Iterable[str], universe: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which roots a set of names takes in whole, and what is left of it, in the vocabulary's order."""
    wanted = set(names)
    left = [*(name for name in universe if name in wanted), *sorted(wanted.difference(universe))]
    groups = []
    for root in dict.fromkeys(map(root_of, universe)):
        whole = [leaf for leaf in universe if covers(root, leaf)]
        if len(whole) > 1 and set(whole) <= wanted:
            groups.append(root)
            left = [name for name in left if name not in whole]
    return groups, left


def purpose_in_words(name: str) -> str:
    """Return what a purpose is called within a sentence: "training search"; one that is not known here, as it is."""
    if name not in vocabulary().named:
        return name
    if name == "feature/compose":
        return f"the {purpose(name).in_words}"  # the one feature that is a thing, not what it does
    return purpose(name).in_words


def purposes(names: Iterable[str]) -> str:
    """Say a set of purposes in words; a whole group is said as one."""
    groups, single = _grouped(names, vocabulary().purposes)
    return listed([purpose_in_words(name) for name in (*groups, *single)])


def uses(names: Sequence[str]) -> str:
    """Name purposes in words: "every use of AI" where they are all there are."""
    return "every use of AI" if set(names) >= set(vocabulary().purposes) else purposes(names)


def asks(names: Sequence[str]) -> str:
    """Say whose yes is asked for in words; empty for nobody's."""
    return listed([_ASKS[name] for name in names])


def elsewhere(lines: Iterable[ChoiceLine]) -> str:
    """Say what is asked besides where somebody of another region is concerned, too; empty where nothing is."""
    told = {}
    for one in (found for line in lines for found in line.elsewhere):
        where = f"With people from {_places(one.regions)} in it, "
        if one.is_never:
            told[one] = f"{where}it is not used at all."
        elif one.asks:
            told[one] = f"{where}their rule counts as well and asks for a yes: {asks(one.asks)}."
        else:
            told[one] = f"{where}their rule counts as well: more people can say no, or data is used for less long."
    return " ".join(dict.fromkeys(told.values()))


def more_elsewhere(line: ChoiceLine) -> str:
    """Say in a few words that more is asked with people of other regions; empty where it is not, or nothing stands."""
    if not line.stands or not line.elsewhere:
        return ""
    return f"; more is asked with people from {listed([_places(one.regions) for one in line.elsewhere])}"


_PLACES: Final[Mapping[str, str]] = {
    "EEA": "the European Economic Area",
    "GB": "the United Kingdom",
    "CH": "Switzerland",
    "US": "the United States",
}


def _places(regions: Sequence[str]) -> str:
    named = [_PLACES.get(one, one) for one in regions]
    return ", ".join(named[:-1]) + (" or " if named[1:] else "") + named[-1] if named else "other regions"


def count(number: int, thing: str) -> str:
    """Say how many of a thing there are."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def switch_title(choice: Choice) -> str:
    """Return what a switch is called: one of a single purpose without a title of its own, as that purpose is."""
    if len(choice.purposes) == 1 and choice.switch.title == choice.purposes[0]:
        return purpose(choice.purposes[0]).title
    return choice.switch.title


def counted(number: int, of: str) -> str:
    """Say how many of something there are; `of` is its plural."""
    one = {**_ONE, **{spec.words.units: spec.words.unit for spec in installed_families().values()}}
    return f"{number:,} {of if number != 1 else one.get(of, of.removesuffix('s'))}"


def spoken(names: Iterable[str]) -> str:
    """Say names of purposes, or of groups of them, in words within a sentence."""
    return listed([purpose_in_words(name) for name in names])


def spoken_data(names: Iterable[str]) -> str:
    """Say names of kinds of data, or of groups of them, in words; all groups are all there is."""
    known = vocabulary()
    found = {leaf for leaf in known.categories if any(covers(name, leaf) for name in names)}
    found |= {name for name in names if name not in known.named}
    return "all data" if found >= set(known.categories) else categories(found)


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def first_of(words: Sequence[str], most: int) -> str:
    """Join words as a sentence does, the first ones of many, and say how many others there are."""
    others = len(words) - most
    return listed(words) if others <= 0 else f"{', '.join(words[:most])} and {count(others, 'other')}"


YES_ENDS: Final = "It holds until you say no, or until the start (in UTC) of the day on which you let it end."


def end_of(choice: Choice) -> str:
    """Say when a party's yes to a switch ends, or ended: a sentence after another one; empty where it does not end."""
    ends_us = {line.end_us for line in choice.lines if line.say is not Say.NONE}
    if choice.end_us is None:
        return ""
    what = "It" if len(ends_us) == 1 else "A part of it"
    has_ended = any(isinstance(line.own, Refusal) and line.own.reason is Reason.EXPIRED for line in choice.lines)
    return f" {what} {'ended' if has_ended else 'ends'} on {day(choice.end_us)}."


def day(at_us: int) -> str:
    """Say an instant as a day in UTC, such as "24 November 2026"; "the beginning" where there is none."""
    if at_us <= BEGINNING_US:
        return "the beginning"
    at = us_to_datetime(at_us)
    return f"{at.day} {at:%B %Y}"


def moment(at_us: int) -> str:
    """Say an instant with its time of day in UTC, such as "24 November 2026, 11:30 UTC"."""
    return day(at_us) if at_us <= BEGINNING_US else f"{day(at_us)}, {us_to_datetime(at_us):%H:%M} UTC"


_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


def browser(agent: str) -> str:
    """Name a browser and its system, as far as a `User-Agent` tells: "Firefox on Linux"; empty where it tells neither.

    No more of it is kept: enough for somebody to know their own devices, and too little to follow one.
    """
    names = [next((name for part, name in known if part in agent), "") for known in (_BROWSERS, _SYSTEMS)]
    return " on ".join(filter(None, names))
