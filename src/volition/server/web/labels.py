"""What pages call things, in plain words: one table for each vocabulary. A test holds them complete."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import us_to_datetime
from volition.consent.choices import Choice
from volition.consent.history import BEGINNING_US
from volition.consent.permits import Reason
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
        does="Which results people open teaches search to put the right ones first.",
        without="Search learns nothing from you. It goes on working for you.",
    ),
    "train/recommend": Purpose(
        title="Train recommendations",
        does="What people open and join teaches Volition what to suggest next.",
        without="Suggestions learn nothing from you. You still get suggestions.",
    ),
    "train/summary": Purpose(
        title="Train summaries",
        does="Transcripts, with the summaries that people corrected, teach which moments matter.",
        without="No meeting in which you speak teaches summaries. You still get summaries.",
    ),
    "train/compose": Purpose(
        title="Train the composer",
        does="Chat messages teach which words follow which; only what several people wrote is ever suggested.",
        without="Nothing that you write teaches the composer. You can still use it.",
    ),
    "train/diagnose": Purpose(
        title="Train diagnosis",
        does="Measurements of connections and devices teach which sessions are about to fail, and why.",
        without="Measurements of your sessions teach nothing. Your sessions run as before.",
    ),
    "feature/search": Purpose(
        title="Search",
        does="Finds what was said and written in meetings, chats and files that you may see.",
        without="Nothing that you said or wrote appears in anybody's search.",
    ),
    "feature/recommend": Purpose(
        title="Recommendations",
        does="Suggests channels, people and documents to try next, from what you have used.",
        without="You get no suggestions from what you do.",
    ),
    "feature/summary": Purpose(
        title="Summaries",
        does="Shows key moments, decisions and tasks of a meeting, each a quote that points at its second.",
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
        without="Nobody is warned of faults in your sessions.",
    ),
    "advertising": Purpose(
        title="Advertising", does="Chooses advertisements by your data.", without="No advertisement uses your data."
    ),
    "tracking": Purpose(
        title="Tracking", does="Follows what you do elsewhere.", without="You are not followed elsewhere."
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
    Reason.NO_TERMS: "your organisation has accepted no terms",
    Reason.NOT_ASKED: "nobody has answered yet",
    Reason.SAID_NO: "the answer is no",
    Reason.WITHDRAWN: "a yes was withdrawn",
    Reason.BEFORE_YES: "it was collected before the yes",
    Reason.TOO_OLD: "it is older than the terms keep it",
    Reason.ERASED: "this party was erased",
    Reason.UNKNOWN_PARTY: "nobody knows whom it concerns",
    Reason.STALE: "the newest answers are not known here",
    Reason.LIMITED: "the account limits it",
}

REASON_BY_NAME: Final[Mapping[str, str]] = {reason.value: told for reason, told in REASON.items()}

ROLE: Final[Mapping[Role, str]] = {
    Role.PERSON: "Person",
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
        title="Better by training",
        means="How much better the feature does with training than without. Right of zero is better.",
    ),
    "own data": Measure(
        title="Better by this data",
        means="How much this party's own data adds to that. Right of zero means that it helps.",
    ),
    "attack": Measure(
        title="Being recognised",
        means="How often somebody who holds the model tells rightly whose data it learned from. Left is safer.",
        of="people",
    ),
    "fairness": Measure(
        title="Uneven quality",
        means="The largest gap between groups of people in how well it works. Left is fairer.",
    ),
    "poisoning": Measure(
        title="Spoiling by one",
        means="How much whoever does the most harm stands out from all others. Left is safer.",
    ),
    "canary": Measure(
        title="Repeating secrets",
        means="How much likelier than chance the model gives back what one person wrote. Left is safer.",
        of="sequences",
    ),
}
"""By audit, and `own data`."""

_ONE: Final[Mapping[str, str]] = {"people": "person"}

_ASKS: Final[Mapping[str, str]] = {
    "account": "your organisation's",
    "person": "that of whoever speaks or acts",
    "everyone": "everybody's in it",
}


def family_words(name: str) -> FamilyWords:
    """Return what a family is called; one whose package is not installed any more is called by its name."""
    spec = installed_families().get(name)
    if spec is not None:
        return spec.words
    missing = "Its package is not installed."
    return FamilyWords(title=name, training=f"Train {name}", does=missing, unit="unit", units="units")


def bounded(card: Mapping[str, Any]) -> str:
    """Say what bounds what an adapter keeps of one person, from its card; empty for models of other families."""
    base, claimed = card.get("base"), card.get("privacy")
    if base is None:
        return ""
    of = f"It is an update of the language model '{base['name']}', which itself stays as it was."
    if claimed is None:
        return (
            f"{of} It was trained without differential privacy: what it keeps of one person is measured, not bounded."
        )
    return (
        f"{of} It was trained with differential privacy for each person: epsilon {claimed['epsilon']:.2f} at delta "
        f"{claimed['delta']:g}. The smaller epsilon, the less it can show that a person was there."
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


def purposes(names: Iterable[str]) -> str:
    """Say a set of purposes in words; a whole group is said as one."""
    left = [name for name in PURPOSES if name in set(names)]
    said = []
    for group in ("train", "feature"):
        whole = [leaf for leaf in PURPOSES if covers(group, leaf)]
        if set(whole) <= set(left):
            said.append(GROUP[group])
            left = [name for name in left if name not in whole]
    return listed([*said, *(PURPOSES[name].title.lower() for name in left)])


def asks(names: Sequence[str]) -> str:
    """Say whose yes is asked for in words; empty for nobody's."""
    return listed([_ASKS[name] for name in names])


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
    """Say names of purposes, or of groups of them, in words."""
    return listed([GROUP.get(name) or (PURPOSES[name].title if name in PURPOSES else name) for name in names])


def spoken_data(names: Iterable[str]) -> str:
    """Say names of kinds of data, or of groups of them, in words; two whole groups are all there is."""
    named = sorted(set(names))
    return "all data" if named == ["content", "service"] else categories(leaves(named, CATEGORIES))


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def day(at_us: int) -> str:
    """Say an instant as a day in UTC, such as "24 November 2026"; "the beginning" where there is none."""
    if at_us <= BEGINNING_US:
        return "the beginning"
    at = us_to_datetime(at_us)
    return f"{at.day} {at:%B %Y}"


def moment(at_us: int) -> str:
    """Say an instant with its time of day in UTC, such as "24 November 2026, 11:30 UTC"."""
    return day(at_us) if at_us <= BEGINNING_US else f"{day(at_us)}, {us_to_datetime(at_us):%H:%M} UTC"
