"""One record explained: every party concerned, the rule that applies to it, its permit or refusal.

It asks the reference in `permits`, not the compiled form that `decide` asks, so it explains a verdict by the plain
statement of the same rules.
"""

from dataclasses import dataclass
from typing import Any

from volition.consent.gate.effective import uses
from volition.consent.gate.exclusion import exclusion_of
from volition.consent.gate.verdict import Record, instant_text, remedy
from volition.consent.history import History
from volition.consent.permits import (
    NO_PERMIT_US,
    GoverningRule,
    PartyRole,
    Permit,
    Reason,
    Refusal,
    Say,
    governing_rule,
    permit,
    say_of,
)
from volition.consent.terms.model import Basis, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One party's part in a verdict.

    Attributes:
        party: "account:ID" or "person:PSEUDONYM".
        role: In what role the record concerns it.
        terms_id: The terms that bind; none if there are none.
        rule: The rule that wins for this party's region, or that of another party concerned which asks more of this
            one; none if no rule mentions the use.
        say: What say that rule gives the party.
        answer: Its permit or refusal.
        reason: Why this party keeps the record out; none if it does not.
        remedy: What would change this party's answer, in words; empty if nothing need change.
    """

    party: str
    role: PartyRole
    terms_id: str | None
    rule: Rule | None
    say: Say
    answer: Permit | Refusal
    reason: Reason | None
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as a JSON object with instants as text."""
        rule = None
        if self.rule is not None:
            rule = {
                "data": list(self.rule.data),
                "purpose": list(self.rule.purpose),
                "region": list(self.rule.region),
                "basis": self.rule.basis.value,
            }
        return {
            "party": self.party,
            "role": self.role.value,
            "terms": self.terms_id,
            "rule": rule,
            "say": self.say.value,
            "since": instant_text(self.answer.since_us) if isinstance(self.answer, Permit) else None,
            "reason": self.reason and self.reason.value,
            "remedy": self.remedy,
        }


def explain(history: History, record: Record, *, purpose: str, at_us: int) -> list[Explanation]:
    """Judge one record, party by party, by the reference in `permits`. Refused iff any line has a reason."""
    lines = []
    asked = [*uses(history, record.account, record.people, record.category, purpose, at_us=at_us)]
    answers = [permit(history, use, at_us) for use in asked]
    excluded = exclusion_of(history, record, purpose=purpose, at_us=at_us)
    if any(isinstance(answer, Refusal) for answer in answers):
        excluded = None  # what not everyone permits is not asked for its conversation
    for use, answer in zip(asked, answers, strict=True):
        here = governing_rule(history, use, at_us, asked_us=at_us)
        reason = _objection(answer, record, at_us)
        if excluded is not None and excluded.party == use.party:
            reason = Reason.EXCLUDED
        since_us = answer.since_us if isinstance(answer, Permit) else NO_PERMIT_US
        lines.append(
            Explanation(
                party=use.party,
                role=use.role,
                terms_id=None if here.terms is None else here.terms.id,
                rule=_telling(here, use.role),
                say=here.say,
                answer=answer,
                reason=reason,
                remedy="" if reason is None else remedy(reason, use.party, since_us=since_us),
            )
        )
    return lines


def _telling(here: GoverningRule, role: PartyRole) -> Rule | None:
    """Return the rule that gives the party its say: its own where that asks as much as any other."""
    if here.rule is None or here.rule.basis is Basis.NEVER:
        return here.rule
    return next(rule for rule in (here.rule, *here.others) if say_of(rule, role) is here.say)


def _objection(answer: Permit | Refusal, record: Record, at_us: int) -> Reason | None:
    if isinstance(answer, Refusal):
        return answer.reason
    if record.collected_us < answer.since_us:
        return Reason.BEFORE_YES
    if answer.max_age_us is not None and record.collected_us < at_us - answer.max_age_us:
        return Reason.TOO_OLD
    return None
