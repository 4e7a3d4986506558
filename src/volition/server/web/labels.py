"""The labels of pages, in plain words: one table for each vocabulary. A test checks that none is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import us_to_datetime
from volition.consent.choices import Choice, ChoiceLine
from volition.consent.history import BEGINNING_US
from volition.consent.permits import Reason, Refusal, Say
from volition.consent.terms.model import CATEGORIES, covers, leaves
from volition.learning.families.installed import installed_families
from volition.learning.families.spec import FamilyWords
from volition.server.auth import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a purpose is called, and what it does.

    Attributes:
        title: Its name on pages.
        does: What happens with a yes, as one sentence.
        without: What is no longer there, or no longer done, with a no.
    """

    title: str
    does: str
    without: str


PURPOSES: Final[Mapping[str, Purpose]] = {
    "train/search": Purpose(
        title="Train search",
        does="Search learns from the results that people open, so that better results come first.",
        without="Search does not learn from you.",
    ),
    "train/recommend": Purpose(
        title="Train recommendations",
        does="Recommendations learn from what people open and join.",
        without="Recommendations do not learn from you.",
    ),
    "train/summary": Purpose(
        title="Train summaries",
        does="Summaries learn from transcripts, and from people's corrections, which moments of a meeting matter.",
        without="Summaries do not learn from what you say in meetings.",
    ),
    "train/compose": Purpose(
        title="Train the composer",
        does="The composer learns from chat messages which words follow which. It suggests only what several "
        "people wrote.",
        without="The composer does not learn from what you write.",
    ),
    "train/diagnose": Purpose(
        title="Train diagnosis",
        does="Diagnosis learns from measurements of connections and devices which sessions are about to fail, and why.",
        without="Diagnosis does not learn from your sessions.",
    ),
    "feature/search": Purpose(
        title="Search",
        does="Finds what was said and written in meetings, chats and files that you may see.",
        without="What you said or wrote appears in nobody's search.",
    ),
    "feature/recommend": Purpose(
        title="Recommendations",
        does="Suggests channels, people and documents to try next, from what you have used.",
        without="You get no recommendations based on what you do.",
    ),
    "feature/summary": Purpose(
        title="Summaries",
        does="Shows key moments, decisions and tasks of a meeting as quotes, each with a link to where it was said.",
        without="No summary quotes you.",
    ),
    "feature/compose": Purpose(
        title="Composer",
        does="Completes and rewrites your chat messages when you ask for it. It never sends anything.",
        without="The composer is not offered to you.",
    ),
    "feature/diagnose": Purpose(
        title="Diagnosis",
        does="Warns when a session is about to fail, and names the likely cause.",
        without="Nobody is warned about faults in your sessions.",
    ),
    "advertising": Purpose(
        title="Advertising",
        does="Chooses advertisements based on your data.",
        without="No advertisement uses your data.",
    ),
    "tracking": Purpose(
        title="Tracking",
        does="Follows what you do on other sites and in other apps.",
        without="You are not followed on other sites or in other apps.",
    ),
}

CATEGORY: Final[Mapping[str, str]] = {
    "service/usage": "which features and results you use",
    "service/telemetry": "measurements of connections and devices",
    "service/diagnostics": "fault reports",
    "content/audio": "audio of meetings",
    "content/video": "video of meetings",
    "content/chat": "chat messages",
    "content/transcript": "meeting transcripts",
    "content/files": "files",
}

GROUP: Final[Mapping[str, str]] = {
    "service": "all service data",
    "content": "all content",
    "train": "training AI",
    "feature": "AI features",
}
"""Names that cover all below them."""

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
    """

    title: str
    means: str
    of: str = ""


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
    ),
}
"""By audit, and `own data`."""

_ONE: Final[Mapping[str, str]] = {"people": "person"}

_ASKS: Final[Mapping[str, str]] = {
    "account": "your organisation's",
    "person": "that of the person who speaks or acts",
    "everyone": "that of everyone in it",
}


def family_words(name: str) -> FamilyWords:
    """Return what a family is called; one whose package is not installed any more is called by its name."""
    spec = installed_families().get(name)
    if spec is not None:
        return spec.words
    missing = "Its package is not installed."
    return FamilyWords(title=name, training=f"Train {name}", does=missing, unit="unit", units="units")


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
    left = sorted(set(names), key=CATEGORIES.index)
    said = []
    for group in ("service", "content"):
        whole = [leaf for leaf in CATEGORIES if covers(group, leaf)]
        if len(whole) > 1 and set(whole) <= set(left):
            said.append(GROUP[group])
            left = [name for name in left if name not in whole]
    return listed([*said, *(CATEGORY[name] for name in left)])


def purpose_in_words(name: str) -> str:
    """Return what a purpose is called within a sentence: "training search", "summaries"."""
    title = PURPOSES[name].title
    if name == "feature/compose":
        return f"the {title.lower()}"  # the one feature that is a thing, not what it does
    return f"training {title.removeprefix('Train ')}" if title.startswith("Train ") else title.lower()


def purposes(names: Iterable[str]) -> str:
    """Say a set of purposes in words; a whole group is said as one."""
    left = [name for name in PURPOSES if name in set(names)]
    said = []
    for group in ("train", "feature"):
        whole = [leaf for leaf in PURPOSES if covers(group, leaf)]
        if set(whole) <= set(left):
            said.append(GROUP[group])
            left = [name for name in left if name not in whole]
    return listed([*said, *(purpose_in_words(name) for name in left)])


def uses(names: Sequence[str]) -> str:
    """Name purposes in words: "every use of AI" where they are all there are."""
    return "every use of AI" if set(names) == set(PURPOSES) else purposes(names)


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
        return PURPOSES[choice.purposes[0]].title
    return choice.switch.title


def counted(number: int, of: str) -> str:
    """Say how many of something there are; `of` is its plural."""
    one = {**_ONE, **{spec.words.units: spec.words.unit for spec in installed_families().values()}}
    return f"{number:,} {of if number != 1 else one.get(of, of.removesuffix('s'))}"


def spoken(names: Iterable[str]) -> str:
    """Say names of purposes, or of groups of them, in words within a sentence."""
    return listed([GROUP.get(name) or (purpose_in_words(name) if name in PURPOSES else name) for name in names])


def spoken_data(names: Iterable[str]) -> str:
    """Say names of kinds of data, or of groups of them, in words; two whole groups are all there is."""
    named = sorted(set(names))
    return "all data" if named == ["content", "service"] else categories(leaves(named, CATEGORIES))


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


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
