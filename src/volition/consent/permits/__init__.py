"""Permits: the date since which each yes has held unbroken. This module decides; nothing else does.

A permit is a consent in force, or a lawful basis without an opt-out; a withdrawal (revocation) ends it at once.

For one party, one category and one purpose, the terms and the party's decisions make the use *allowed* or *not
allowed* at every instant. A use at T of a record collected at t needs it to have been allowed **unbroken from t
to T**. So all that the gate must know of a party is one date:

    permit(T) = the start of the unbroken allowed stretch that contains T, or a refusal with its reason

and a record may be used when every party concerned has a permit and `collected_at >= max(their permits)`.

The module says this twice. `permit` is the reference: it asks `allowed` at every instant at which anything
changed, and walks back from T to the first no. It reads like the definition and is used to explain. `Permits` is
the compiled form, which carries one number per party forward through time: for one party at a time, cached until
that party does something new, and for millions of parties at once (`Panel`), as columns. Tests hold all of
them equal over every short history and over generated long ones.

What it guarantees:

- Silence is never a yes where the rule asks for one. At one and the same instant a no beats a yes.
- A yes reaches back before itself only if it says so (`covers`), and only in the stretch in which it was given.
- Withdrawing and agreeing again does not bring back the data from before the withdrawal.
- A stretch breaks where new terms ask for a yes that is not there.
- A yes ends where it says so (`until`), or where the rule that asks for it says how long one lasts (`max_yes_age`). The
  stretch goes on if the yes is said anew by then; a later one begins a new stretch.
- A limit of the account only narrows: no answer, no acceptance and no new terms override it. Only lifting it allows the
  use again, and the stretch then starts anew. It counts where the rule gives the account a say.
- Only entries up to T matter: asking again later about T gives the same answer.

Each party is judged by the rule of its own region; a person of unknown region has the account's. Where a record
concerns parties of several regions, whatever any of their rules asks of a role is asked of whoever is in it: a German
employee's rule that asks for the account's yes does so in a US account, too. Whether any terms
bind at all is a matter between the account and the operator: it breaks the account's stretch. People are judged,
for the time before the first terms, as those first terms would have.

    >>> history = read_history(ledger.entries())                        # doctest: +SKIP
    >>> use = Use(account="acme", party="account:acme", role=PartyRole.ACCOUNT,
    ...           category="content/chat", purpose="train/search")      # doctest: +SKIP
    >>> permit(history, use, at_us=canonical.now_us())                  # doctest: +SKIP
    Refusal(reason=<Reason.NOT_ASKED: 'not-asked'>)

Each module knows only those before it:

reference    the definition, for one party at a time: read this first
compiled     one party at a time, cached until the party does something new
columns      millions of parties at once
"""

from volition.consent.permits.columns import Panel, PermitTable, Stretches
from volition.consent.permits.compiled import NO_COMPANY, Company, Permits
from volition.consent.permits.reference import (
    NO_PERMIT_US,
    REASON_CODES,
    UNKNOWN_PERSON,
    GoverningRule,
    PartyRole,
    Permit,
    Reason,
    Refusal,
    Say,
    Use,
    allowed,
    answered,
    changes,
    evidence,
    governing_rule,
    permit,
    say_of,
    shortest_yes_age,
    strictest,
    yes_end_us,
)

__all__ = [
    "NO_COMPANY",
    "NO_PERMIT_US",
    "REASON_CODES",
    "UNKNOWN_PERSON",
    "Company",
    "GoverningRule",
    "Panel",
    "PartyRole",
    "Permit",
    "PermitTable",
    "Permits",
    "Reason",
    "Refusal",
    "Say",
    "Stretches",
    "Use",
    "allowed",
    "answered",
    "changes",
    "evidence",
    "governing_rule",
    "permit",
    "say_of",
    "shortest_yes_age",
    "strictest",
    "yes_end_us",
]
