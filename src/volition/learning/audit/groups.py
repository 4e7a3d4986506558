"""Groups: which units belong together, and which groups are too small to be shown.

A unit's group follows from the people that it is about, by what is on record and nothing else: their region from the
ledger; their language and role from the newest usage event that names them, as OpenTelemetry spells it
(`browser.language`, `user.roles`). What was never recorded is not guessed: then there are no groups.

A group of fewer than five people is not shown, since its figure would reveal something about single people. Nor may it
be worked out: the figure for everybody is known, so what is shown, taken away from it, must leave at least two groups
and at least five people. Where it does not, the next smallest group is hidden as well.

Sources: primary and complementary suppression, Willenborg and de Waal 2001, Elements of Statistical Disclosure
Control, chapter 5; account sizes as in Commission Recommendation 2003/361/EC; attributes,
https://opentelemetry.io/docs/specs/semconv/registry/attributes/.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from volition.consent.history import History
from volition.learning.families.family import Scores
from volition.records.ingest.used import LANGUAGE, ROLES
from volition.records.lake import Row

FEWEST: Final = 5
"""People, and units, that a group needs to be shown."""

UNRECORDED: Final = "not recorded"
SEVERAL: Final = "several"
"""The group of units about people of different groups, such as a meeting across borders."""

_SIZES: Final = ((10, "1 to 9 people"), (50, "10 to 49 people"), (250, "50 to 249 people"))
_LARGE: Final = "250 people or more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """One characteristic by which units are grouped.

    Attributes:
        name: The characteristic, such as "region".
        labels: Each unit's group, in the order of the scores; `UNRECORDED` where nothing says so.
        why_not: Why there are no groups, in a sentence; empty where there are.
    """

    name: str
    labels: tuple[str, ...]
    why_not: str = ""


def groupings(scores: Scores, rows: Sequence[Row], *, regions: Mapping[str, str]) -> list[Grouping]:
    """Group the units of a snapshot by region, language, account size and role.

    Args:
        scores: The units, with the people that each is about.
        rows: The snapshot's rows.
        regions: Party ("account:ID", "person:PSEUDONYM") -> region, for those whose region is on record.

    Returns:
        A grouping for each characteristic; one that nothing is on record about says so.
    """
    languages, roles = _spoken(rows)
    region_of = {
        (account, person): _country(regions.get(f"person:{person}", regions.get(f"account:{account}", "")))
        for account, people in _units(scores)
        for person in people
    }
    members: dict[str, set[str]] = {}
    for row in rows:
        members.setdefault(row.account, set()).update(row.everyone)
    sizes = {account: _size(len(people)) for account, people in members.items()}
    return [
        _by_people("region", scores, lambda account, person: region_of[account, person], "No region is on record."),
        _by_people(
            "language",
            scores,
            lambda _, person: languages.get(person, ""),
            f"No usage event in this snapshot has the attribute {LANGUAGE!r}: the language that a person uses.",
        ),
        Grouping(name="account size", labels=tuple(sizes.get(account, UNRECORDED) for account in scores.accounts)),
        _by_people(
            "role",
            scores,
            lambda _, person: roles.get(person, ""),
            f"No usage event in this snapshot has the attribute {ROLES!r}: the role that a person has.",
        ),
    ]


def regions_on_record(history: History, rows: Iterable[Row], *, at_us: int) -> dict[str, str]:
    """Return the regions of the accounts and people of some rows, as they stood at an instant."""
    parties = {f"account:{row.account}" for row in rows} | {f"person:{one}" for row in rows for one in row.everyone}
    found = {party: [name for since_us, name in history.regions(party) if since_us <= at_us] for party in parties}
    return {party: names[-1] for party, names in sorted(found.items()) if names}


def shown_groups(labels: Sequence[str], people: Sequence[Sequence[str]], *, fewest: int = FEWEST) -> list[str]:
    """Return the groups that may be shown, largest first, so that no smaller one can be worked out.

    Args:
        labels: Each unit's group.
        people: Who each unit is about; empty where that is not known, then units are counted.
        fewest: People and units that a group needs.
    """
    units = Counter(labels)
    members: dict[str, set[str]] = {label: set() for label in units}
    for place, label in enumerate(labels):
        members[label].update(people[place] if people else [str(place)])
    order = sorted(units, key=lambda label: (-len(members[label]), -units[label], label))
    shown = [label for label in order if len(members[label]) >= fewest and units[label] >= fewest]

    def gives_away() -> bool:
        hidden = [label for label in order if label not in shown]
        together = set().union(*(members[label] for label in hidden))
        few = len(together) < fewest or sum(units[label] for label in hidden) < fewest
        return bool(hidden) and (len(hidden) == 1 or few)

    while shown and gives_away():
        shown.pop()
    return shown


def _units(scores: Scores) -> Iterator[tuple[str, tuple[str, ...]]]:
    return zip(scores.accounts, scores.people or ((),) * len(scores.units), strict=True)


def _by_people(name: str, scores: Scores, label_of: Callable[[str, str], str], why_not: str) -> Grouping:
    labels = []
    for account, people in _units(scores):
        found = {label for person in people if (label := label_of(account, person))}
        labels.append(SEVERAL if len(found) > 1 else found.pop() if found else UNRECORDED)
    if not scores.people:
        return Grouping(name=name, labels=(), why_not="This family does not say who its units are about.")
    if set(labels) <= {UNRECORDED}:
        return Grouping(name=name, labels=(), why_not=why_not)
    return Grouping(name=name, labels=tuple(labels))


def _spoken(rows: Sequence[Row]) -> tuple[dict[str, str], dict[str, str]]:
    """Return each person's language and role, by the newest of their own usage events that names them."""
    languages: dict[str, str] = {}
    roles: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (row.collected_us, row.record_id)):
        attributes = row.payload.get("attributes")
        if not row.people or not isinstance(attributes, Mapping):
            continue
        language, role = attributes.get(LANGUAGE), attributes.get(ROLES)
        if isinstance(language, str) and language.strip():
            languages[row.author] = language.strip().replace("_", "-").split("-")[0].lower()
        words = [role] if isinstance(role, str) else role if isinstance(role, list) else []
        if named := ", ".join(sorted({word.strip() for word in words if isinstance(word, str) and word.strip()})):
            roles[row.author] = named
    return languages, roles


def _country(region: str) -> str:
    return region[:2]  # a subdivision counts as its country, or groups would be smaller than they need be


def _size(people: int) -> str:
    return next((name for below, name in _SIZES if people < below), _LARGE)
