"""Choices: what one party can say about each use that the terms mention, and what is in effect now; decides nothing.

It is the model behind a preference center (privacy settings: opt-in, opt-out, withdrawal of consent). A page of
settings is made of *choices*, one for each switch of the terms that bind, and one for each purpose that they do not
forbid and that none of their switches names. A choice says, by the gate's own reference:

- what the party has said, and for which kinds of data its silence is enough;
- whether the use is allowed, for all kinds of data, for some or for none: by this party, by the account, and whose yes
  is needed besides;
- what the party's no refuses, and what it turns off with it;
- what a yes would change.

What the terms never allow is listed separately, with the rule that forbids it.

    >>> from volition.consent.history import History
    >>> choices(History(), account="acme", party="account:acme", at_us=0).terms is None
    True
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import Final

from volition.canonical import us_to_text
from volition.consent.history import BEGINNING_US, History
from volition.consent.permits import (
    PartyRole,
    Permit,
    Reason,
    Refusal,
    Say,
    Use,
    answered,
    governing_rule,
    permit,
    strictest,
    yes_end_us,
)
from volition.consent.terms.model import Basis, Rule, Switch, Terms
from volition.consent.terms.vocabulary import Vocabulary, covers


class PartyAnswer(StrEnum):
    """What a party has said about a use, its newest answer."""

    YES = "yes"
    NO = "no"
    NOTHING = "nothing"
    ENDED = "ended"  # a yes that has ended
    MIXED = "mixed"  # not the same for every kind of data or purpose


class Standing(StrEnum):
    """For how much of what is asked about a use is allowed."""

    ALL = "all"
    PART = "part"
    NONE = "none"


def standing_of(allowed: Iterable[bool]) -> Standing:
    """Return whether all, some or none of several answers are yes; none where there is nothing to answer."""
    answers = set(allowed)
    return Standing.NONE if True not in answers else Standing.PART if False in answers else Standing.ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What a record asks besides where somebody of another region is among those whom it concerns.

    Attributes:
        regions: The regions, as the rule names them; empty for all that no rule names.
        asks: Whose yes the rule there asks for, of `terms.PARTY_WORDS`.
        is_never: Whether it is forbidden there.
    """

    regions: tuple[str, ...]
    asks: tuple[str, ...]
    is_never: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceLine:
    """One kind of data under one purpose of a choice, for the party as it is now.

    Attributes:
        category: A leaf of `terms.CATEGORIES`.
        purpose: A leaf of `terms.PURPOSES`.
        say: What say the rules give this party: the most that the rule of any region concerned asks of it.
        account_say: What say they give the account.
        answer: What the party has said last.
        own: The party's permit or refusal.
        of_account: The account's; the same as `own` where the party is the account.
        asks: Whose yes the rules ask for, of `terms.PARTY_WORDS`; empty where they ask for none.
        refusable_by: Whose no counts besides, of `terms.PARTY_WORDS`.
        max_age_us: Age beyond which nothing is used; none for no limit.
        elsewhere: Rules of other regions that ask more: where somebody from there is concerned, they count as well.
        end_us: When the party's yes ends, or ended (not included); none where it does not end, or there is none.
        by_signal: Whether what counts as its no is a lasting signal of its browser (Global Privacy Control) alone.
    """

    category: str
    purpose: str
    say: Say
    account_say: Say
    answer: PartyAnswer
    own: Permit | Refusal
    of_account: Permit | Refusal
    asks: tuple[str, ...]
    refusable_by: tuple[str, ...]
    max_age_us: int | None
    elsewhere: tuple[Elsewhere, ...] = ()
    end_us: int | None = None
    by_signal: bool = False

    @property
    def stands(self) -> bool:
        """Whether the use is allowed as far as this party and its account go; others in a record may still refuse.

        With somebody of a region in `elsewhere` beside them, this party or its account may refuse, too.
        """
        return isinstance(self.own, Permit) and isinstance(self.of_account, Permit)

    @property
    def is_limited(self) -> bool:
        """Whether the account limits the use: for itself as a whole, or for this party."""
        return any(isinstance(one, Refusal) and one.reason is Reason.LIMITED for one in (self.own, self.of_account))

    @property
    def people_can_refuse(self) -> bool:
        """Whether a no of a person whom the data concerns counts, whatever the account says."""
        return bool({"person", "everyone"} & {*self.asks, *self.refusable_by})

    @property
    def opens_with_yes(self) -> bool:
        """Whether a yes of this party is what is missing on its own side; others may still refuse."""
        return isinstance(self.own, Refusal) and self.own.reason in _ENDED_BY_YES


_ENDED_BY_YES: Final = frozenset({Reason.NOT_ASKED, Reason.SAID_NO, Reason.WITHDRAWN, Reason.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """One switch, for one party as it is now; compared by identity, so that what is made of it can be cached under it.

    Attributes:
        switch: The switch of the terms.
        purposes: The purpose leaves that its no refuses or turns off, in the vocabulary's order.
        lines: Every kind of data under every purpose of the switch that the terms do not forbid.
    """

    switch: Switch
    purposes: tuple[str, ...]
    lines: tuple[ChoiceLine, ...]

    @property
    def answer(self) -> PartyAnswer:
        """What the party has said, over all lines on which it has a say."""
        said = {line.answer for line in self.lines if line.say is not Say.NONE}
        return said.pop() if len(said) == 1 else PartyAnswer.MIXED if said else PartyAnswer.NOTHING

    @property
    def allowed(self) -> bool:
        """Whether the party allows at least one kind of data to be used: by its yes, or by a silence that counts."""
        return any(isinstance(line.own, Permit) for line in self.lines)

    @property
    def stands(self) -> bool:
        """Whether at least one kind of data may be used, as far as the party and its account go."""
        return any(line.stands for line in self.lines)

    def standing(self, categories: Collection[str] | None = None) -> Standing:
        """Return for how much of what the switch speaks of the use is allowed, as far as the party and its account go.

        Args:
            categories: Only these kinds of data count, such as those that are collected at all; none for all.
        """
        return standing_of(line.stands for line in self.lines if categories is None or line.category in categories)

    @property
    def has_say(self) -> bool:
        """Whether the terms give this party a say at all."""
        return any(line.say is not Say.NONE for line in self.lines)

    def is_besides(self, purpose: str) -> bool:
        """Return whether its no turns a purpose off without that being what the switch is named for."""
        refuses, disables = self.switch.refuses, self.switch.disables
        return any(covers(name, purpose) for name in disables) and not any(covers(name, purpose) for name in refuses)

    def with_say(self, *says: Say) -> tuple[ChoiceLine, ...]:
        """Return the lines for which the terms give the party one of some kinds of say."""
        return tuple(line for line in self.lines if line.say in says)

    @property
    def can_reach_back(self) -> bool:
        """Whether a yes that covers the past would allow more than one that does not, as far as this party goes."""
        heard = [line.own for line in self.lines if line.say is not Say.NONE]
        return any(isinstance(own, Refusal) or own.since_us > BEGINNING_US for own in heard)

    @property
    def since_us(self) -> int | None:
        """The earliest instant that the party's own permits reach back to; none where it allows nothing."""
        return min((line.own.since_us for line in self.lines if isinstance(line.own, Permit)), default=None)

    @property
    def end_us(self) -> int | None:
        """The first instant at which the party's yes to any line ends, or ended; none where none does."""
        return min((line.end_us for line in self.lines if line.end_us is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """What the terms never allow.

    Attributes:
        purpose: A leaf of `terms.PURPOSES`.
        categories: Leaves of `terms.CATEGORIES` for which it is forbidden.
        rule: The rule that says so; none where no rule speaks of it, which forbids it as well.
        number: The rule's number in the terms, counted from 1; none likewise.
    """

    purpose: str
    categories: tuple[str, ...]
    rule: Rule | None
    number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """All that one party can choose, and what is never done.

    Attributes:
        terms: The terms that bind the account or, if it has accepted none, the newest published; none if none were.
        accepted: Whether they bind.
        erased: Whether the party was erased, so that nothing can be chosen any more.
        choices: One for each switch, in the terms' order.
        never: What is never done, in the vocabulary's order.
    """

    terms: Terms | None
    accepted: bool
    erased: bool
    choices: tuple[Choice, ...]
    never: tuple[Never, ...]

    def of(self, switch: str) -> Choice | None:
        """Return the choice of a switch by its name; none if there is none."""
        return next((choice for choice in self.choices if choice.switch.name == switch), None)


NOTHING: Final = Choices(terms=None, accepted=False, erased=False, choices=(), never=())


def choices(
    history: History,
    *,
    account: str,
    party: str,
    at_us: int,
    permit_of: Callable[[Use], Permit | Refusal] | None = None,
) -> Choices:
    """Return what a party can choose about an account's data, as it is at an instant.

    Args:
        history: What was said, up to that instant.
        account: Id of the account; its terms bind.
        party: "account:ID", or "person:PSEUDONYM" as the first person of a record.
        at_us: The instant, microseconds since the Unix epoch, UTC.
        permit_of: Gives the permit of a use at that instant; by default the reference, from this history.
    """
    binding = [terms for start_us, terms in history.bindings.terms_of(account) if start_us <= at_us]
    terms = next(iter([*reversed(binding), *reversed(history.bindings.published())]), None)
    if terms is None:
        return NOTHING
    known = history.party(party)
    regions = tuple(dict.fromkeys(_region(history, whose, account, at_us) for whose in (party, f"account:{account}")))
    asking = _Asking(
        history=history,
        account=account,
        party=party,
        at_us=at_us,
        terms=terms,
        regions=regions,
        permit_of=permit_of or partial(permit, history, at_us=at_us),
    )
    return Choices(
        terms=terms,
        accepted=bool(binding),
        erased=known.erased_us is not None and known.erased_us <= at_us,
        choices=tuple(choice for switch in switches_of(terms, *regions) if (choice := asking.choice(switch)).lines),
        never=tuple(_never(terms, regions)),
    )


def switches_of(terms: Terms, *regions: str | None) -> Sequence[Switch]:
    """Return the switches of terms, and one for each purpose that none of them names and that is not forbidden.

    Without the second kind, what the terms allow could be neither seen nor answered where they have no switch for it.

    Args:
        terms: The terms.
        regions: Those whose rules count.
    """
    vocabulary = terms.vocabulary
    named = {
        *vocabulary.leaves_of_use(name for switch in terms.switches for name in (*switch.refuses, *switch.disables))
    }
    taken = {switch.name for switch in terms.switches}
    added = []
    for purpose in vocabulary.purposes:
        if purpose not in named and any(
            _rules(terms, category, purpose, regions or (None,)) for category in vocabulary.categories
        ):
            name = purpose.replace("/", "-")
            while name in taken:
                name = f"{name}-only"
            taken.add(name)
            added.append(Switch(name=name, title=purpose, refuses=(purpose,)))
    return (*terms.switches, *added)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    history: History
    account: str
    party: str
    at_us: int
    terms: Terms
    regions: tuple[str | None, ...]
    permit_of: Callable[[Use], Permit | Refusal]

    def choice(self, switch: Switch) -> Choice:
        vocabulary = self.terms.vocabulary
        purposes = vocabulary.leaves_of_use([*switch.refuses, *switch.disables])
        lines = [
            self._line(category, purpose, rules)
            for purpose in purposes
            for category in vocabulary.categories
            if (rules := _rules(self.terms, category, purpose, self.regions))
        ]
        return Choice(switch=switch, purposes=purposes, lines=tuple(lines))

    def _line(self, category: str, purpose: str, rules: Sequence[Rule]) -> ChoiceLine:
        is_account = self.party.startswith("account:")
        role = PartyRole.ACCOUNT if is_account else PartyRole.FIRST
        beside = () if is_account else self.history.located([self.party])
        use = Use(account=self.account, party=self.party, role=role, category=category, purpose=purpose, beside=beside)
        own = self.permit_of(use)
        whole = replace(use, party=f"account:{self.account}", role=PartyRole.ACCOUNT)
        return ChoiceLine(
            category=category,
            purpose=purpose,
            say=strictest(rules, role),  # also of terms that do not bind yet, so that a no can be said before
            account_say=strictest(rules, PartyRole.ACCOUNT),
            answer=self._answer(use, own),
            own=own,
            of_account=own if is_account else self.permit_of(whole),
            asks=tuple(dict.fromkeys(word for rule in rules for word in rule.asks)),
            refusable_by=tuple(dict.fromkeys(word for rule in rules for word in rule.refusable_by)),
            max_age_us=min((rule.max_age_us for rule in rules if rule.max_age_us is not None), default=None),
            elsewhere=tuple(self._elsewhere(category, purpose, rules)),
            end_us=yes_end_us(self.history, use, self.at_us) if self._may_end(purpose) else None,
            by_signal=self._is_by_signal(use, own),
        )

    def _may_end(self, purpose: str) -> bool:
        """Return whether any yes of the party may end: mostly none does, and then no line need be asked."""
        decisions = self.history.party(self.party).decisions
        return any(decision.until_us is not None for decision in decisions) or bool(
            decisions and self.history.bindings.yes_ages_us(purpose)
        )

    def _is_by_signal(self, use: Use, own: Permit | Refusal) -> bool:
        """Return whether a no stands of which the party said nothing after its last yes: only its browser did."""
        if not isinstance(own, Refusal) or own.reason not in {Reason.SAID_NO, Reason.WITHDRAWN}:
            return False
        heard = [
            one
            for one in self.history.party(self.party).decisions
            if one.at_us <= self.at_us and use.category in one.categories and use.purpose in one.purposes
        ]
        yes_us = max((one.said_us for one in heard if one.yes), default=BEGINNING_US)
        return not any(one.said_us >= yes_us for one in heard if not one.yes)

    def _elsewhere(self, category: str, purpose: str, here: Sequence[Rule]) -> Iterator[Elsewhere]:
        """Yield the rules of other regions that ask more than the party's and the account's rules do."""
        for other in self.terms.rules_anywhere(category, purpose):
            if other is None or other.basis is Basis.NEVER:
                yield Elsewhere(regions=() if other is None else other.region, asks=(), is_never=True)
            elif _asks_more(other, here):
                yield Elsewhere(regions=other.region, asks=other.asks, is_never=False)

    def _answer(self, use: Use, own: Permit | Refusal) -> PartyAnswer:
        """Return what the party said last about a use; a signal that the terms count is a no."""
        reason = own.reason if isinstance(own, Refusal) else None
        if reason is Reason.LIMITED:  # by the account; what the party said is still what it said
            here = governing_rule(self.history, use, self.at_us, asked_us=self.at_us)
            reason = (
                None if here.say is Say.NONE else answered(self.history, use, self.at_us, here, asked_us=self.at_us)
            )
        if reason in {Reason.SAID_NO, Reason.WITHDRAWN}:
            return PartyAnswer.NO
        if reason is Reason.EXPIRED:
            return PartyAnswer.ENDED
        for decision in reversed(self.history.party(self.party).decisions):
            concerns = use.category in decision.categories and use.purpose in decision.purposes
            if concerns and decision.at_us <= self.at_us:
                return PartyAnswer.YES if decision.yes else PartyAnswer.NO
        return PartyAnswer.NOTHING


def _asks_more(other: Rule, here: Sequence[Rule]) -> bool:
    """Say whether a rule may refuse what others permit: by whom it asks, how often, whose no it counts, what is old."""
    asked = {word for rule in here for word in rule.asks}
    heard = asked | {word for rule in here for word in rule.refusable_by}
    is_older = any(_is_shorter(other.max_age_us, rule.max_age_us) for rule in here)
    is_sooner = any(_is_shorter(other.max_yes_age_us, rule.max_yes_age_us) for rule in here)
    return is_older or is_sooner or not asked.issuperset(other.asks) or not heard.issuperset(other.refusable_by)


def _is_shorter(age_us: int | None, than_us: int | None) -> bool:
    return age_us is not None and (than_us is None or age_us < than_us)


def _rules(terms: Terms, category: str, purpose: str, regions: Sequence[str | None]) -> tuple[Rule, ...]:
    """Return the rules of all regions concerned; none at all where the rule of any of them forbids the use."""
    found = [terms.rule_for(category, purpose, region) for region in regions]
    usable = tuple(rule for rule in found if rule is not None and rule.basis is not Basis.NEVER)
    return usable if len(usable) == len(found) else ()


def _region(history: History, party: str, account: str, at_us: int) -> str | None:
    for whose in (party, f"account:{account}"):
        known = [region for since_us, region in history.regions(whose) if since_us <= at_us]
        if known:
            return known[-1]
    return None


def _never(terms: Terms, regions: Sequence[str | None]) -> Iterator[Never]:
    categories = terms.vocabulary.categories
    for purpose in terms.vocabulary.purposes:
        judged = ((name, terms.rule_for(name, purpose, region)) for name in categories for region in regions)
        forbidding = [(name, rule) for name, rule in judged if rule is None or rule.basis is Basis.NEVER]
        forbidden = list(dict(reversed(forbidding)).items())  # each kind of data once, by the first region's rule
        for number, group in groupby(
            sorted(forbidden, key=lambda found: (_number(terms, found[1]), categories.index(found[0]))),
            key=lambda found: _number(terms, found[1]),
        ):
            rows = list(group)
            yield Never(
                purpose=purpose,
                categories=tuple(category for category, _ in rows),
                rule=rows[0][1],
                number=number or None,
            )


def _number(terms: Terms, rule: Rule | None) -> int:
    """Return a rule's number in the terms, counted from 1; 0 for none."""
    return 0 if rule is None else terms.rules.index(rule) + 1


def reaches_back(since_us: int) -> str:
    """Return what a yes must say that it `covers` to reach back as far as a permit did."""
    return "past" if since_us <= BEGINNING_US else us_to_text(since_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """A yes or no that is still to be said; the arguments of `Workspace.decide`."""

    yes: bool
    data: tuple[str, ...]
    purpose: tuple[str, ...]
    covers: str | None = None
    until: str | None = None


def saying(
    choice: Choice, vocabulary: Vocabulary, *, yes: bool, covers: str | None = None, until: str | None = None
) -> Saying:
    """Return what answering a choice says. A yes is to what the page shows and nothing more; a no is to everything.

    Args:
        choice: What is answered.
        vocabulary: All that the workspace can name, whichever of its terms declare it.
        yes: Whether the answer is yes.
        covers: How far a yes reaches back.
        until: When it ends.
    """
    data = tuple(dict.fromkeys(line.category for line in choice.lines if line.say is not Say.NONE))
    if not yes:
        return Saying(yes=False, data=vocabulary.all_data, purpose=refused_by(choice.switch, vocabulary))
    return Saying(yes=True, data=data, purpose=choice.purposes, covers=covers, until=until)


def refused_by(switch: Switch, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the purposes that a switch's no refuses, of all that the workspace can name."""
    return vocabulary.leaves_of_use([*switch.refuses, *switch.disables])


def undoing(before: Choice, now: Choice, *, at_us: int) -> tuple[Saying, ...]:
    """Return what must be said to restore a choice as it was before, reaching back and lasting exactly as far.

    Nothing need be said where nothing was allowed before and nothing is now: a no that followed no yes is not undone
    by a yes. A yes that would have ended by now (`at_us`) is not said anew.
    """
    stood = {(line.category, line.purpose): line for line in before.lines if line.say is not Say.NONE}
    noes: dict[tuple[str, str | None, str | None], list[str]] = {}
    yeses: dict[tuple[str, str | None, str | None], list[str]] = {}
    for line in now.lines:
        known = stood.get((line.category, line.purpose))
        was = None if known is None else known.own
        if known is None or was is None or (isinstance(was, Refusal) and isinstance(line.own, Refusal)):
            continue
        has_ended = known.end_us is not None and known.end_us <= at_us
        if (was, known.end_us) == (line.own, line.end_us) or (has_ended and isinstance(line.own, Refusal)):
            continue
        reaches_further = isinstance(was, Permit) and isinstance(line.own, Permit) and line.own.since_us < was.since_us
        if isinstance(was, Refusal) or reaches_further or has_ended:
            noes.setdefault((line.purpose, None, None), []).append(line.category)
        if isinstance(was, Permit) and not has_ended:
            until = None if known.end_us is None else us_to_text(known.end_us)
            yeses.setdefault((line.purpose, reaches_back(was.since_us), until), []).append(line.category)
    return tuple(
        Saying(yes=yes, data=tuple(data), purpose=(purpose,), covers=covers, until=until)
        for yes, said in ((False, noes), (True, yeses))  # what reaches too far back is cut off first, then said anew
        for (purpose, covers, until), data in said.items()
    )
