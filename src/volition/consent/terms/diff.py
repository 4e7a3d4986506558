r"""What a new terms version changes, in plain words.

Every kind of data, every purpose and every region that either version distinguishes is judged under both versions; what
differs is gathered again under the shortest names. So a change is reported whichever rule brought it about, a rule
that is only written differently is no change, and a line never says more than is true.

A change *loosens* if afterwards something may be done that could not be done before: a use is newly allowed, a party's
yes is no longer asked or their no no longer counts, records are usable for longer, or identifiers are no longer
scrubbed; or if such changes are announced less long ahead from then on, or else two versions in a row would go round
the notice period of the first. `newly_allows` asks whether there is any such change. Which settings a page shows, and
how else a version comes to bind, are reported too but loosen nothing by themselves.

    >>> from volition.consent.terms.terms_file import load_profile
    >>> print(*diff(load_profile("2023-08-07"), load_profile("2023-08-11")).lines(), sep="\n")
    Newly forbidden: all content for training AI and advertising.
    The switch "Train AI with our content" is gone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import product
from typing import Any, Final

from volition.consent.terms.model import (
    Basis,
    Rule,
    Switch,
    Terms,
    distinct_regions,
)
from volition.consent.terms.regions import EEA
from volition.consent.terms.vocabulary import BUILT_IN, Category, Purpose, Vocabulary, covers


class ChangeKind(StrEnum):
    """What kind of change it is, in the order in which changes are listed."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    ASKED = "asked"
    NO_LONGER_ASKED = "no-longer-asked"
    MAY_REFUSE = "may-refuse"
    MAY_NO_LONGER_REFUSE = "may-no-longer-refuse"
    KEPT_LONGER = "kept-longer"
    KEPT_SHORTER = "kept-shorter"
    YES_LASTS_LONGER = "yes-lasts-longer"
    YES_LASTS_SHORTER = "yes-lasts-shorter"
    NO_LONGER_SCRUBBED = "no-longer-scrubbed"
    SCRUBBED = "scrubbed"
    SIGNAL_IGNORED = "signal-ignored"
    SIGNAL_HEEDED = "signal-heeded"
    DECLARED = "declared"
    CALLED_OTHERWISE = "called-otherwise"
    NOW_CONTENT = "now-content"
    NO_LONGER_CONTENT = "no-longer-content"
    NO_LONGER_DECLARED = "no-longer-declared"
    SWITCH = "switch"
    BINDING = "binding"
    NOTICE_SHORTENED = "notice-shortened"


LOOSENING: Final = frozenset(
    {
        ChangeKind.ALLOWED,
        ChangeKind.NO_LONGER_ASKED,
        ChangeKind.MAY_NO_LONGER_REFUSE,
        ChangeKind.KEPT_LONGER,
        ChangeKind.YES_LASTS_LONGER,
        ChangeKind.NO_LONGER_SCRUBBED,
        ChangeKind.SIGNAL_IGNORED,
        ChangeKind.NOTICE_SHORTENED,
    }
)
"""The kinds of change after which something may be done, or done sooner, that could not be done before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, for machines (its kind, and the names it is about) and for people (its text).

    Attributes:
        kind: What kind of change it is.
        data: Shortest category names that it is about; empty where it is about none.
        purpose: Shortest purpose names that it is about; empty where it is about none.
        where: The regions in words, such as "in DE" or "outside the EEA"; empty means everywhere.
        text: The whole change as one plain sentence or two.
    """

    kind: ChangeKind
    data: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()
    where: str = ""
    text: str

    @property
    def loosens(self) -> bool:
        """Whether something may be done afterwards that could not be done before."""
        return self.kind in LOOSENING

    def to_json(self) -> dict[str, Any]:
        """Return the change as a JSON value."""
        return {
            "kind": str(self.kind),
            "data": list(self.data),
            "purpose": list(self.purpose),
            "where": self.where,
            "loosens": self.loosens,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """All that a terms version changes against an earlier one.

    Attributes:
        old: Id of the earlier version; none for the first terms of all.
        new: Id of the later version.
        changes: The changes, in the order of `ChangeKind`.
        same_words: Whether the prose is the same too.
    """

    old: str | None
    new: str
    changes: tuple[Change, ...]
    same_words: bool

    @property
    def newly_allows(self) -> bool:
        """Whether any change loosens."""
        return any(change.loosens for change in self.changes)

    def lines(self) -> tuple[str, ...]:
        """Return the changes in plain words, one a line; never empty."""
        if self.changes:
            return tuple(change.text for change in self.changes)
        if self.same_words:
            return ("Nothing changes.",)
        return ("Only the wording changes: the same uses are allowed, and the same people are asked.",)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON value."""
        return {
            "old": self.old,
            "new": self.new,
            "newly_allows": self.newly_allows,
            "changes": [change.to_json() for change in self.changes],
            "same_words": self.same_words,
        }


def diff(old: Terms | None, new: Terms) -> Diff:
    """Compare two terms versions; none as the old one means no terms at all, under which nothing is allowed."""
    changes = [*_use_changes(old, new, regions=_regions(old, new)), *_name_changes(old, new)]
    if old is not None:
        changes += [*_switch_changes(old, new), *_binding_changes(old, new)]
    else:
        changes += [*_switch_changes(None, new)]
    return Diff(
        old=None if old is None else old.id,
        new=new.id,
        changes=tuple(changes),
        same_words=old is not None and old.text_digest == new.text_digest,
    )


def changes_in(old: Terms | None, new: Terms, region: str | None) -> tuple[Change, ...]:
    """Compare what two versions allow and ask in one region, as it concerns somebody there; settings are left out."""
    return tuple(_use_changes(old, new, regions=(region,)))


@lru_cache(maxsize=64)  # every history asks it of each two versions anew, and both are values
def newly_allows(old: Terms | None, new: Terms) -> bool:
    """Return whether, under `new`, anything may be done, or announced less long ahead, that could not under `old`."""
    if old is not None and new.notice_days < old.notice_days:
        return True
    return any(kind in LOOSENING for _, (kind, _) in _changed_uses(old, new, _regions(old, new)))


# --- one use, before and after -------------------------------------------------------------------------------------

_ROLES: Final = {"account": {"account"}, "first": {"person", "everyone"}, "others": {"everyone"}}
"""The roles in which a party is concerned by a record, and the words of a rule that mean them."""

_NO_SAY, _MAY_REFUSE, _ASKED = range(3)

_Facet = tuple[ChangeKind, tuple[Any, ...]]
"""One way in which a use changed, and the detail that is reported."""


_MOVES: Final[Sequence[tuple[ChangeKind, tuple[bool, ...], Callable[[int, int], bool]]]] = (
    (ChangeKind.ASKED, (), lambda was, now: was < now == _ASKED),
    (ChangeKind.NO_LONGER_ASKED, (True,), lambda was, now: was == _ASKED and now == _MAY_REFUSE),
    (ChangeKind.NO_LONGER_ASKED, (False,), lambda was, now: was == _ASKED and now == _NO_SAY),
    (ChangeKind.MAY_REFUSE, (), lambda was, now: was == _NO_SAY and now == _MAY_REFUSE),
    (ChangeKind.MAY_NO_LONGER_REFUSE, (), lambda was, now: was == _MAY_REFUSE and now == _NO_SAY),
)
"""What a move of a party's say from one thing to another means; for a yes no longer asked, whether a no counts."""


def _says(rule: Rule) -> dict[str, int]:
    """Return what say a rule gives to each role."""
    return {
        role: _ASKED if words & {*rule.asks} else _MAY_REFUSE if words & {*rule.refusable_by} else _NO_SAY
        for role, words in _ROLES.items()
    }


def _with_say(says: Mapping[str, int], say: int) -> tuple[str, ...]:
    return tuple(role for role in says if says[role] == say)


def _facets(old: Rule | None, new: Rule | None) -> Iterator[_Facet]:
    """Yield the ways in which the rule that governs a use changed. None means forbidden."""
    if new is None:
        if old is not None:
            yield ChangeKind.FORBIDDEN, ()
        return
    after = _says(new)
    if old is None:
        yield ChangeKind.ALLOWED, (_with_say(after, _ASKED), _with_say(after, _MAY_REFUSE))
        return
    before = _says(old)
    for kind, detail, moved in _MOVES:
        roles = tuple(role for role in _ROLES if moved(before[role], after[role]))
        if roles:
            yield kind, (roles, *detail)
    if old.max_age_us != new.max_age_us:
        longer = new.max_age_us is None or (old.max_age_us is not None and old.max_age_us < new.max_age_us)
        yield ChangeKind.KEPT_LONGER if longer else ChangeKind.KEPT_SHORTER, (old.max_age_us, new.max_age_us)
    if old.max_yes_age_us != new.max_yes_age_us and any(
        before[role] == after[role] == _ASKED for role in _ROLES
    ):  # of whom no yes was asked, or none is any more, the change of the asking says all
        lasts_us = (old.max_yes_age_us, new.max_yes_age_us)
        longer = lasts_us[1] is None or (lasts_us[0] is not None and lasts_us[0] < lasts_us[1])
        yield ChangeKind.YES_LASTS_LONGER if longer else ChangeKind.YES_LASTS_SHORTER, lasts_us
    if old.scrub != new.scrub:
        yield ChangeKind.SCRUBBED if new.scrub else ChangeKind.NO_LONGER_SCRUBBED, ()


def _signal_facets(old: Terms, new: Terms, purpose: str) -> Iterator[_Facet]:
    """Yield the signals that stopped or started to count as a no for a purpose."""
    for name in sorted({*old.signals, *new.signals}):
        before, after = (purpose in terms.signals.get(name, ()) for terms in (old, new))
        if before != after:
            yield ChangeKind.SIGNAL_HEEDED if after else ChangeKind.SIGNAL_IGNORED, (name,)


def _unless_forbidden(rule: Rule | None) -> Rule | None:
    return None if rule is None or rule.basis is Basis.NEVER else rule


# --- all uses, gathered --------------------------------------------------------------------------------------------


def _regions(old: Terms | None, new: Terms) -> Sequence[str | None]:
    return distinct_regions([*([] if old is None else old.rules), *new.rules])


def _changed_uses(
    old: Terms | None, new: Terms, regions: Sequence[str | None]
) -> Iterator[tuple[tuple[str, str, str | None], _Facet]]:
    """Judge every use under both versions; yield each (category, purpose, region) and a way in which it changed."""
    vocabulary = _vocabulary(old, new)
    for category, purpose, region in product(vocabulary.categories, vocabulary.purposes, regions):
        before = None if old is None else _unless_forbidden(old.rule_for(category, purpose, region))
        after = _unless_forbidden(new.rule_for(category, purpose, region))
        facets = [] if before == after else [*_facets(before, after)]
        # A signal matters only where a party has a say, before and after.
        if old is not None and before and after and any(_says(before).values()) and any(_says(after).values()):
            facets += _signal_facets(old, new, purpose)
        yield from (((category, purpose, region), facet) for facet in facets)


def _use_changes(old: Terms | None, new: Terms, *, regions: Sequence[str | None]) -> list[Change]:
    """Gather the uses that changed in the same way; where one region is asked about, it is not named."""
    places: dict[_Facet, dict[tuple[str, str], set[str | None]]] = defaultdict(lambda: defaultdict(set))
    for (category, purpose, region), facet in _changed_uses(old, new, regions):
        places[facet][category, purpose].add(region)

    vocabulary, changes = _vocabulary(old, new), []
    for (kind, detail), uses in places.items():
        by_regions: dict[frozenset[str | None], set[tuple[str, str]]] = defaultdict(set)
        for use, found in uses.items():
            by_regions[frozenset(found)].add(use)
        for inside, changed in by_regions.items():
            where = "" if len(regions) == 1 else _where(inside, regions)
            for categories, purposes in _rectangles(changed):
                data = _shorten(categories, vocabulary.categories)
                purpose_names = _shorten(purposes, vocabulary.purposes)
                about = f"{_say_data(data, vocabulary)} for {_say_purposes(purpose_names, vocabulary)}"
                text = _sentence(kind, detail, where, about)
                changes.append(Change(kind=kind, data=data, purpose=purpose_names, where=where, text=text))
    return sorted(changes, key=lambda change: _order(change, vocabulary))


def _vocabulary(old: Terms | None, new: Terms) -> Vocabulary:
    """Return what either version can name."""
    return new.vocabulary if old is None else old.vocabulary.joined([*new.categories, *new.purposes])


def _order(change: Change, vocabulary: Vocabulary) -> tuple[Any, ...]:
    first_data = min(place for place, leaf in enumerate(vocabulary.categories) if covers(change.data[0], leaf))
    first_purpose = min(place for place, leaf in enumerate(vocabulary.purposes) if covers(change.purpose[0], leaf))
    return [*ChangeKind].index(change.kind), first_data, first_purpose, change.where, change.text


def _rectangles(uses: Iterable[tuple[str, str]]) -> list[tuple[list[str], tuple[str, ...]]]:
    """Split uses into groups in which each category goes with each purpose."""
    purposes_of: dict[str, set[str]] = defaultdict(set)
    for category, purpose in uses:
        purposes_of[category].add(purpose)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for category, purposes in purposes_of.items():
        groups[tuple(sorted(purposes))].append(category)
    return [(categories, purposes) for purposes, categories in groups.items()]


def _shorten(names: Iterable[str], universe: Sequence[str]) -> tuple[str, ...]:
    """Return the shortest names that cover just these leaves: "content" where all its leaves are there."""
    left = {*names}
    short = []
    for leaf in universe:
        if leaf in left:
            group = leaf.split("/")[0]
            members = {member for member in universe if covers(group, member)}
            is_whole = len(members) > 1 and members <= left
            short.append(group if is_whole else leaf)
            left -= members if is_whole else {leaf}
    return tuple(short)


def _where(inside: frozenset[str | None], regions: Sequence[str | None]) -> str:
    """Say where a change holds: a subdivision or a country goes with what it lies in unless said otherwise."""

    def around(region: str) -> str | None:
        country = region[:2]
        return country if country != region and country in regions else None

    named = [region for region in regions if region is not None]
    added = [region for region in named if region in inside and around(region) not in inside]
    left_out = [region for region in named if region not in inside and around(region) in inside]
    parts = []
    if None in inside:
        parts += [f"outside {_say_regions(left_out)}"] if left_out else []
        parts += [f"in {_say_regions(added)}"] if added else []
        return " and ".join(parts)
    return f"in {_say_regions(added)}" + (f" except {_say_regions(left_out)}" if left_out else "")


# --- in words ------------------------------------------------------------------------------------------------------

_SIGNAL_WORDS: Final = {"gpc": "The Global Privacy Control signal"}
_BINDING_WORDS: Final = {"continued-use": "by going on using the service", "explicit": "only once it accepts"}
_DAY_US: Final = 86_400_000_000


def _sentence(kind: ChangeKind, detail: tuple[Any, ...], where: str, use: str) -> str:
    """Say one change of a use: what happens, where, to which use, and what else there is to know."""
    tail = ""
    match kind:
        case ChangeKind.ALLOWED:
            head, tail = "Newly allowed", _say_asked(*detail)
        case ChangeKind.FORBIDDEN:
            head = "Newly forbidden"
        case ChangeKind.ASKED:
            head, use = "Asked anew", f"the yes of {_say_roles(detail[0])}, to use {use}"
        case ChangeKind.NO_LONGER_ASKED:
            head, use = "No longer asked", f"the yes of {_say_roles(detail[0])}, to use {use}"
            tail = " A no still counts." if detail[1] else " A no no longer counts."
        case ChangeKind.MAY_REFUSE | ChangeKind.MAY_NO_LONGER_REFUSE:
            head = "Newly" if kind is ChangeKind.MAY_REFUSE else "No longer"
            head += f" refusable by {_say_roles(detail[0])}"
        case ChangeKind.KEPT_LONGER | ChangeKind.KEPT_SHORTER:
            head = f"Records usable {_say_age(detail[1])} (before: {_say_age(detail[0])})"
        case ChangeKind.YES_LASTS_LONGER | ChangeKind.YES_LASTS_SHORTER:
            head = f"A yes lasts {_say_lasting(detail[1])} (before: {_say_lasting(detail[0])})"
        case ChangeKind.SCRUBBED | ChangeKind.NO_LONGER_SCRUBBED:
            head = f"Personal identifiers {'now' if kind is ChangeKind.SCRUBBED else 'no longer'} scrubbed"
        case _:
            since = "now" if kind is ChangeKind.SIGNAL_HEEDED else "no longer"
            head = f"{_SIGNAL_WORDS[detail[0]]} {since} counts as a no"
    return f"{head}{where and ' '}{where}: {use}.{tail}"


def _say_asked(asked: Sequence[str], may_refuse: Sequence[str]) -> str:
    who = f" It takes the yes of {_say_roles(asked)}" if asked else " Nobody's yes is asked"
    if may_refuse:
        return f"{who}; {_say_roles(may_refuse)} may refuse."
    return f"{who}." if asked else f"{who}, and nobody can refuse."


def _say_roles(roles: Sequence[str]) -> str:
    words = ["the account"] if "account" in roles else []
    if "first" in roles and "others" in roles:
        words.append("everyone in the record")
    elif "first" in roles:
        words.append("the record's first person")
    elif "others" in roles:
        words.append("the other people in the record")
    return _join(words)


def _say_data(names: Sequence[str], vocabulary: Vocabulary) -> str:
    if vocabulary.leaves_of_data(names) == vocabulary.categories:
        return "all data"
    return _join([vocabulary.category(name).briefly for name in names])


def _say_purposes(names: Sequence[str], vocabulary: Vocabulary) -> str:
    if vocabulary.leaves_of_use(names) == vocabulary.purposes:
        return "any purpose"
    return _join([vocabulary.purpose(name).briefly for name in names])


def _say_regions(regions: Sequence[str]) -> str:
    if EEA.issubset(regions):
        return _join(["the EEA", *(region for region in regions if region not in EEA)])
    return _join(regions)


def _say_age(age_us: int | None) -> str:
    if age_us is None:
        return "at any age"
    days = age_us / _DAY_US
    return "up to 1 day old" if days == 1 else f"up to {days:g} days old"


def _say_lasting(age_us: int | None) -> str:
    if age_us is None:
        return "until it is withdrawn"
    days = age_us / _DAY_US
    return "1 day" if days == 1 else f"{days:g} days"


def _join(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


# --- settings and binding ------------------------------------------------------------------------------------------


def _name_changes(old: Terms | None, new: Terms) -> Iterator[Change]:
    """Tell which names are declared newly, no longer, or otherwise. By itself, none of it allows anything."""
    before, after = ({} if one is None else {name.name: name for name in _declared(one)} for one in (old, new))
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if now is None and was is not None:
            text = f"No longer declared: {_say_name(was)}. Nothing is allowed for it any more."
            yield _name_change(ChangeKind.NO_LONGER_DECLARED, was, text)
        elif was is None and now is not None:
            text = f"Newly declared: {_say_name(now)}. By itself that allows nothing."
            yield _name_change(ChangeKind.DECLARED, now, text)
        elif was is not None and now is not None and was != now:
            yield from _said_otherwise(was, now)


def _said_otherwise(was: Category | Purpose, now: Category | Purpose) -> Iterator[Change]:
    kinds = (was, now)
    if isinstance(was, Category) and isinstance(now, Category) and was.content != now.content:
        kind, words = (
            (ChangeKind.NOW_CONTENT, "now counts as content: it is scrubbed and gated as content is")
            if now.content
            else (
                ChangeKind.NO_LONGER_CONTENT,
                "does not count as content here, and does all the same once the other version is published",
            )
        )
        yield _name_change(kind, now, f"{_say_name(now)} {words}.")
        kinds = (replace(was, content=now.content), now)
    if kinds[0] != kinds[1]:
        before, after = ("; ".join(_texts(one)) for one in kinds)
        text = f'"{now.name}" is called otherwise: {after} (before: {before}).'
        yield _name_change(ChangeKind.CALLED_OTHERWISE, now, text)


def _declared(terms: Terms) -> tuple[Category | Purpose, ...]:
    return (*terms.categories, *terms.purposes)


def _texts(one: Category | Purpose) -> tuple[str, ...]:
    texts = (one.words,) if isinstance(one, Category) else (one.title, one.does, one.without)
    return texts if one.briefly in texts or one.briefly == getattr(one, "in_words", "") else (*texts, one.briefly)


def _say_name(one: Category | Purpose) -> str:
    if isinstance(one, Purpose):
        return f'the purpose "{one.name}" ({one.title})'
    kind = "content" if one.content else "no content"
    return f'the category "{one.name}" ({one.words}; {kind})'


def _name_change(kind: ChangeKind, one: Category | Purpose, text: str) -> Change:
    is_data = isinstance(one, Category)
    text = text[0].upper() + text[1:]
    return Change(kind=kind, data=(one.name,) if is_data else (), purpose=() if is_data else (one.name,), text=text)


def _switch_changes(old: Terms | None, new: Terms) -> Iterator[Change]:
    before = {} if old is None else {switch.name: switch for switch in old.switches}
    after = {switch.name: switch for switch in new.switches}
    before_words, after_words = (BUILT_IN if one is None else one.vocabulary for one in (old, new))
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        if was is None and now is not None:
            text = f'New switch "{now.title}": {_say_off(now, after_words)}.'
        elif now is None and was is not None:
            text = f'The switch "{was.title}" is gone.'
        elif was is not None and now is not None:
            title = f'"{was.title}"' if was.title == now.title else f'"{was.title}", now called "{now.title}"'
            was_off, off = _say_off(was, before_words), _say_off(now, after_words)
            text = f"The switch {title}: {off}" + (", as before." if was_off == off else f" (before: {was_off}).")
        yield Change(kind=ChangeKind.SWITCH, text=text)


def _say_off(switch: Switch, vocabulary: Vocabulary) -> str:
    def said(names: Sequence[str]) -> str:
        leaves = vocabulary.leaves_of_use(names)
        return _say_purposes(_shorten(leaves, vocabulary.purposes), vocabulary)

    return f"off refuses {said(switch.refuses)}" + (
        f", and turns off {said(switch.disables)}" if switch.disables else ""
    )


def _binding_changes(old: Terms, new: Terms) -> Iterator[Change]:
    if old.acceptance != new.acceptance:
        before, after = _BINDING_WORDS[old.acceptance], _BINDING_WORDS[new.acceptance]
        yield Change(kind=ChangeKind.BINDING, text=f"A version now binds an account {after} (before: {before}).")
    if old.notice_days != new.notice_days:
        text = f"What is newly allowed is announced {new.notice_days} days ahead (before: {old.notice_days})."
        is_shorter = new.notice_days < old.notice_days
        yield Change(kind=ChangeKind.NOTICE_SHORTENED if is_shorter else ChangeKind.BINDING, text=text)
