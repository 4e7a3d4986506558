"""Which terms were published, who accepted which, and which of them bind an account from when on.

No version takes effect silently, whoever wrote the log. Without its acceptance, an account is bound by a version that
newly allows something no sooner than the notice period after it could know: after the publication, or after its own
first acceptance where that was later. What is newly allowed is judged against everything that binds the account, or
will bind it, in that time, never against what was published last; and the longer notice of the two versions counts, so
that a new version cannot shorten it. A version whose entry names an earlier date binds later; one that repeats an id is
not a version.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from volition.consent.terms.model import Terms
from volition.consent.terms.vocabulary import BUILT_IN, Vocabulary, covers
from volition.errors import InvalidInputError

_DAY_US: Final = 24 * 60 * 60 * 1_000_000
_NOTICED, _ACCEPTED = False, True  # how a version comes to bind
WRITING_US: Final = 60 * 1_000_000
"""An entry's dates are computed before it is written, and so before it has its own: by no more than this."""


@dataclass(frozen=True, slots=True)
class _Published:
    terms: Terms
    binds_us: int
    at_us: int
    order: int
    seq: int


@dataclass(frozen=True, slots=True, order=True)
class _Step:
    """From an instant on, a version may bind an account."""

    start_us: int
    order: int
    by_acceptance: bool
    version: _Published = field(compare=False)


class TermsBindings:
    """The terms that were published and accepted, in the ledger's order, and what follows for each account.

    Attributes:
        vocabulary: What can be named: the built-in names, and what any published version declares.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.vocabulary: Vocabulary = BUILT_IN
        self._published: dict[str, _Published] = {}
        self._accepted: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
        self._bindings: dict[str, list[tuple[int, Terms]]] = {}
        self._loosens: dict[tuple[str | None, str], bool] = {}
        self._yes_ages: dict[str, frozenset[int]] = {}
        self._starts: list[int] = []  # when any account may be bound anew, in order; maybe some when none is

    # What happened, in order:

    def publish(self, terms: Terms, *, binds_us: int, at_us: int | None = None, seq: int = -1) -> None:
        """A terms version appears. Continued use binds an account to it from `binds_us` on, or later; see the module.

        What was published before under the same id stays as it was.

        Args:
            terms: The version.
            binds_us: The date that its publication fixed.
            at_us: When it was published; by default long ago.
            seq: The number of its ledger entry.
        """
        if terms.id in self._published:
            return
        at_us = min(binds_us, 0) if at_us is None else at_us
        version = _Published(terms, max(binds_us, at_us), at_us, len(self._published), seq)
        self._published[terms.id] = version
        self.vocabulary = self.vocabulary.joined([*terms.categories, *terms.purposes])
        self._bindings.clear()
        self._yes_ages.clear()
        notices = {known.terms.notice_days for known in self._published.values()}
        known_us = at_us - WRITING_US
        for start_us in {version.binds_us, terms.effective_us, *(known_us + days * _DAY_US for days in notices)}:
            insort(self._starts, start_us)

    def accept(self, account: str, terms_id: str, *, at_us: int, seq: int = -1) -> None:
        """An account accepts a version.

        Raises:
            InvalidInputError: No such version was published.
        """
        if terms_id not in self._published:
            msg = f"The account {account} accepts terms {terms_id!r}, which were never published."
            raise InvalidInputError(msg)
        is_first = account not in self._accepted
        self._accepted[account].append((at_us, terms_id, seq))
        self._bindings.pop(account, None)
        if is_first and any(version.binds_us > at_us for version in self._published.values()):
            for days in {version.terms.notice_days for version in self._published.values()}:
                insort(self._starts, at_us + days * _DAY_US)

    # What follows from it:

    def terms_of(self, account: str) -> Sequence[tuple[int, Terms]]:
        """Return which terms bind an account, from when on: (instant, terms), by instant; the last one is in force.

        A version that was accepted binds from the acceptance on, though not before it is effective. A version that
        needs no acceptance binds every account that has accepted an earlier one, from the date that its publication
        fixed or its notice period ends, unless a version published later binds already.
        """
        if account not in self._bindings:
            self._bindings[account] = self._bind(account)
        return self._bindings[account]

    def _bind(self, account: str) -> list[tuple[int, Terms]]:
        accepted = self._accepted.get(account)
        if not accepted:
            return []
        steps = self._steps(accepted)
        return [(start_us, version.terms) for start_us, version in _in_force(steps)]

    def _steps(self, accepted: Sequence[tuple[int, str, int]]) -> list[_Step]:
        """Return what may bind an account: what it accepted, and what needs no acceptance."""
        first_us, steps = accepted[0][0], []
        for at_us, terms_id, _ in accepted:
            version = self._published[terms_id]
            steps.append(_Step(max(at_us, version.terms.effective_us), version.order, _ACCEPTED, version))
        for version in self._published.values():
            if version.terms.acceptance == "continued-use" and version.binds_us > first_us:
                known_us = max(version.at_us - WRITING_US, first_us)
                steps.append(
                    _Step(self._noticed_us(version, steps, known_us=known_us), version.order, _NOTICED, version)
                )
        return steps

    def _noticed_us(self, version: _Published, others: Sequence[_Step], *, known_us: int) -> int:
        """Return when a version binds an account that has not accepted it.

        Args:
            version: The version.
            others: What binds the account otherwise.
            known_us: Since when it could know of the version.
        """
        in_force, start_us = _in_force(others), version.binds_us
        while True:
            until_us = start_us
            for before in _between(in_force, known_us, until_us):
                if self._newly_allows(before, version):
                    days = max(version.terms.notice_days, 0 if before is None else before.terms.notice_days)
                    start_us = max(start_us, known_us + days * _DAY_US)
            if start_us == until_us:
                return start_us

    def _newly_allows(self, old: _Published | None, new: _Published) -> bool:
        pair = (None if old is None else old.terms.id, new.terms.id)
        if pair not in self._loosens:
            from volition.consent.terms.diff import newly_allows  # noqa: PLC0415 - few commands compare versions

            self._loosens[pair] = newly_allows(None if old is None else old.terms, new.terms)
        return self._loosens[pair]

    def accepted(self, account: str) -> tuple[int, Terms] | None:
        """Return which version an account accepted last, and when; none if it has accepted none."""
        if account not in self._accepted:
            return None
        at_us, terms_id, _ = self._accepted[account][-1]
        return at_us, self._published[terms_id].terms

    def noticed(self, account: str) -> Sequence[tuple[int, Terms]]:
        """Return what was published after the version that an account accepted first, which it must have notice of.

        Returns:
            The instant of each publication, and the version; oldest first.
        """
        accepted = self._accepted.get(account)
        if not accepted:
            return []
        first = self._published[accepted[0][1]].order
        return [(version.at_us, version.terms) for version in self._published.values() if version.order > first]

    def published(self) -> Sequence[Terms]:
        """Return every terms version, oldest publication first."""
        return [version.terms for version in self._published.values()]

    def version(self, terms_id: str) -> Terms:
        """Return a published version by its id."""
        return self._published[terms_id].terms

    def terms_seq(self, terms_id: str) -> int:
        """Return the number of the ledger entry that published a version; -1 if none did."""
        return self._published[terms_id].seq

    def next_binding_us(self, *, after_us: int) -> int | None:
        """Return the first instant after one at which terms already known may bind any account anew, or none."""
        place = bisect_right(self._starts, after_us)
        return self._starts[place] if place < len(self._starts) else None

    def yes_ages_us(self, purpose: str) -> frozenset[int]:
        """Return the ages at which any rule, of any terms published, ends a yes to a purpose."""
        if purpose not in self._yes_ages:
            self._yes_ages[purpose] = frozenset(
                rule.max_yes_age_us
                for version in self._published.values()
                for rule in version.terms.rules
                if rule.max_yes_age_us is not None and any(covers(name, purpose) for name in rule.purpose)
            )
        return self._yes_ages[purpose]

    def earliest_us(self, terms: Terms, *, binds_us: int, at_us: int) -> int:
        """Return the earliest instant that may bind every account to a new version, if it is published at an instant.

        Args:
            terms: The version, which was not published yet.
            binds_us: The instant that its publication is to fix.
            at_us: The instant of its publication, not before the last entry.
        """
        version = _Published(terms, max(binds_us, at_us), at_us, len(self._published), -1)
        return max(
            (
                self._noticed_us(version, self._steps(accepted), known_us=max(at_us, accepted[0][0]))
                for accepted in self._accepted.values()
            ),
            default=version.binds_us,
        )

    def accounts(self) -> Sequence[str]:
        """Return the ids of the accounts that have accepted any terms."""
        return list(self._accepted)

    # To be saved:

    def to_json(self) -> dict[str, Any]:
        """Return what was published and accepted as JSON values by name; `load` reads them back."""
        return {
            "published": [[one.terms.to_json(), one.binds_us, one.at_us, one.seq] for one in self._published.values()],
            "accepted": self._accepted,
        }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Read back what `to_json` returned, where nothing is known yet."""
        for terms, binds_us, at_us, seq in saved["published"]:
            self.publish(Terms.from_json(terms), binds_us=binds_us, at_us=at_us, seq=seq)
        for account, accepted in saved["accepted"].items():
            self._accepted[account] = [tuple(one) for one in accepted]


def _in_force(steps: Sequence[_Step]) -> list[tuple[int, _Published]]:
    """Return which of some versions are in force from when on: (instant, version), by instant."""
    bindings: list[tuple[int, _Published]] = []
    bound_order = -1
    for step in sorted(steps):
        if step.by_acceptance or step.order > bound_order:
            if bindings and bindings[-1][0] == step.start_us:
                bindings.pop()  # at one instant the last one is in force
            bindings.append((step.start_us, step.version))
            bound_order = step.order
    return bindings


def _between(in_force: Sequence[tuple[int, _Published]], start_us: int, end_us: int) -> Iterator[_Published | None]:
    """Yield what is in force at an instant (none where nothing is), and what comes into force until another."""
    before = [version for at_us, version in in_force if at_us <= start_us]
    yield before[-1] if before else None
    yield from (version for at_us, version in in_force if start_us < at_us < end_us)
