"""The gate: the one place that answers "may this be used?". It reads permits and nothing else.

The field says policy decision point; the lake, which gives out what it lets through, is the enforcement point.

Three questions, one answer (tests hold them equal):

- `decide` judges one record: permitted, or refused with a reason, the party it depends on, and what would change it.
- `explain` judges one record step by step: every party, the rule that applies to it, its permit or refusal.
- `permitted_sql` and `reasons_sql` judge a table, in plain SQL that every engine runs.

A record is permitted iff every party concerned (the account, and each of its people in their role) has a permit, its
conversation was not left out of the use, and it was collected no earlier than the latest permit, and no earlier than
retention allows. Of several refusals the
first is reported, the account's before the people's, in the order in which the record names them.

On a table the gate is one look-up and one comparison a row. The account and the people of a record are interned as a
*party set*, a small dense integer, when it is collected; a purpose's permits become a table of *effective permits*, one
row a party set, in which every party's permit is already folded into one date.

The gate fails closed: a party set without an effective permit, an unknown person, a missing rule are refusals.

Each module knows only those before it:

verdict       the question about one record, and the answer, in words too
question      what a caller asks in their own words, and the record that is meant
exclusion     whether a conversation was left out of a use
effective     the permits of everyone concerned, folded into one answer
gate          one record at a time, with earlier answers cached
explanation   one record explained, party by party
party_sets    the party sets of a bucket, and their effective permits: the same folding for all of them at once
exemptions    the two exemptions by which a person reads without anyone's yes, and how little each lets through
table         many records at a time, in memory and in SQL
asked         many questions, of any form of Arrow, as plain columns
batch         many questions at once, Arrow in and Arrow out
pairs         the permits of many pairs of an account and a person, as columns
interned      tables of others: whom they name is resolved once, and each row judged by numbers
"""

from volition.consent.gate.effective import (
    EffectivePermit,
    concerned,
    effective_permit_of,
    keepable,
    uses,
    with_roles,
)
from volition.consent.gate.exclusion import exclusion_of
from volition.consent.gate.exemptions import Participant, Subject, heard, own
from volition.consent.gate.explanation import Explanation, explain
from volition.consent.gate.gate import Gate, decide
from volition.consent.gate.party_sets import EffectivePermits, PartySets, fold
from volition.consent.gate.question import question_of, refused
from volition.consent.gate.table import Engine, check_source, judge, permitted_sql, reason_of, reasons_sql
from volition.consent.gate.verdict import Record, Verdict, instant_text, remedy
from volition.consent.permits import REASON_CODES

__all__ = [
    "REASON_CODES",
    "EffectivePermit",
    "EffectivePermits",
    "Engine",
    "Explanation",
    "Gate",
    "Participant",
    "PartySets",
    "Record",
    "Subject",
    "Verdict",
    "check_source",
    "concerned",
    "decide",
    "effective_permit_of",
    "exclusion_of",
    "explain",
    "fold",
    "heard",
    "instant_text",
    "judge",
    "keepable",
    "own",
    "permitted_sql",
    "question_of",
    "reason_of",
    "reasons_sql",
    "refused",
    "remedy",
    "uses",
    "with_roles",
]
