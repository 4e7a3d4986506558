"""Which terms were published, who accepted which, and which of them bind an account from when on."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from volition.consent.terms.model import Terms
from volition.errors import InvalidInputError


@dataclass(slots=True)
class _Published:
    terms: Terms
    binds_us: int
    order: int
    seq: int


class TermsBindings:
    """The terms that were published and accepted, in the ledger's order, and what follows for each account."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._published: dict[str, _Published] = {}
        self._accepted: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
        self._bindings: dict[str, list[tuple[int, Terms]]] = {}

    # What happened, in order:

    def publish(self, terms: Terms, *, binds_us: int, seq: int = -1) -> None:
        """A terms version appears. Continued use binds an account to it from `binds_us` on."""
        self._published[terms.id] = _Published(terms, binds_us, len(self._published), seq)
        self._bindings.clear()

    def accept(self, account: str, terms_id: str, *, at_us: int, seq: int = -1) -> None:
        """An account accepts a version.

        Raises:
            InvalidInputError: No such version was published.
        """
        if terms_id not in self._published:
            msg = f"The account {account} accepts terms {terms_id!r}, which were never published."
            raise InvalidInputError(msg)
        self._accepted[account].append((at_us, terms_id, seq))
        self._bindings.pop(account, None)

    # What follows from it:

    def terms_of(self, account: str) -> Sequence[tuple[int, Terms]]:
        """Return which terms bind an account, from when on: (instant, terms), by instant; the last one is in force.

        A version that was accepted binds from the acceptance on, though not before it is effective. A version that
        needs no acceptance binds every account that has accepted an earlier one, from the date that its publication
        fixed, unless a version published later binds already.
        """
        if account not in self._bindings:
            self._bindings[account] = self._bind(account)
        return self._bindings[account]

    def _bind(self, account: str) -> list[tuple[int, Terms]]:
        accepted = self._accepted.get(account)
        if not accepted:
            return []
        first_us = accepted[0][0]
        steps: list[tuple[int, int, bool, Terms]] = []
        for at_us, terms_id, _ in accepted:
            version = self._published[terms_id]
            steps.append((max(at_us, version.terms.effective_us), version.order, True, version.terms))
        steps += [
            (version.binds_us, version.order, False, version.terms)
            for version in self._published.values()
            if version.terms.acceptance == "continued-use" and version.binds_us > first_us
        ]
        bindings: list[tuple[int, Terms]] = []
        bound_order = -1
        for start_us, order, by_acceptance, terms in sorted(steps, key=lambda step: step[:2]):
            if by_acceptance or order > bound_order:
                if bindings and bindings[-1][0] == start_us:
                    bindings.pop()  # at one instant the last one is in force
                bindings.append((start_us, terms))
                bound_order = order
        return bindings

    def accepted(self, account: str) -> tuple[int, Terms] | None:
        """Return which version an account accepted last, and when; none if it has accepted none."""
        if account not in self._accepted:
            return None
        at_us, terms_id, _ = self._accepted[account][-1]
        return at_us, self._published[terms_id].terms

    def published(self) -> Sequence[Terms]:
        """Return every terms version, oldest publication first."""
        return [version.terms for version in self._published.values()]

    def version(self, terms_id: str) -> Terms:
        """Return a published version by its id."""
        return self._published[terms_id].terms

    def terms_seq(self, terms_id: str) -> int:
        """Return the number of the ledger entry that published a version; -1 if none did."""
        return self._published[terms_id].seq

    def next_change_us(self, account: str, *, after_us: int) -> int | None:
        """Return when terms already known will next bind this account anew, or none."""
        return min((start_us for start_us, _ in self.terms_of(account) if start_us > after_us), default=None)

    def next_binding_us(self, *, after_us: int) -> int | None:
        """Return the first instant after one at which terms already known may bind any account anew, or none."""
        starts = {version.binds_us for version in self._published.values()}
        starts |= {version.terms.effective_us for version in self._published.values()}
        return min((start_us for start_us in starts if start_us > after_us), default=None)

    def accounts(self) -> Sequence[str]:
        """Return the ids of the accounts that have accepted any terms."""
        return list(self._accepted)

    # To be saved:

    def to_json(self) -> dict[str, Any]:
        """Return what was published and accepted as JSON values by name; `load` reads them back."""
        return {
            "published": [[one.terms.to_json(), one.binds_us, one.seq] for one in self._published.values()],
            "accepted": self._accepted,
        }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Read back what `to_json` returned, where nothing is known yet."""
        for terms, binds_us, seq in saved["published"]:
            self.publish(Terms.from_json(terms), binds_us=binds_us, seq=seq)
        for account, accepted in saved["accepted"].items():
            self._accepted[account] = [tuple(one) for one in accepted]
