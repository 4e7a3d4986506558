"""The gate: the one place that answers "may this be used?". It reads permits and nothing else.

Three questions, one answer (tests hold them equal):

- `decide` judges one record: permitted, or refused with a reason, the party it hangs on, and what would change it.
- `explain` judges one record aloud: every party, the rule that judges it, its permit or refusal.
- `permitted_sql` and `reasons_sql` judge a table, in plain SQL that every engine runs.

A record is permitted iff every party concerned (the account, and each of its people in their role) has a permit, and
it was collected no earlier than the latest of them, and no earlier than retention allows. Of several refusals the
first is told, the account's before the people's, in the order in which the record names them.

On a table the gate is one look-up and one comparison a row. The account and the people of a record are interned as a
*circle*, a small dense integer, when it is collected; a purpose's permits become a table of *standings*, one row a
circle, in which every party's permit is already folded into one date.

The gate fails closed: a circle without a standing, an unknown person, a missing rule are refusals.

None of the modules here knows a later one, so they can be read in this order:

verdict      what is asked of one record, and what is answered, in words too
standing     the permits of all concerned, folded into one answer
answering    one record at a time, with what was answered before remembered
explaining   one record aloud, party by party
circles      the circles of a bucket, and their standings: the same folding for all of them at once
doors        the two ways by which a person reads without anybody's yes, and how little each lets through
table        many records at a time, in memory and in SQL
"""

from volition.consent.gate.audiences import Circles, Standings, fold
from volition.consent.gate.effective import Standing, concerned, keepable, stand
from volition.consent.gate.exemptions import Participant, Subject, heard, own
from volition.consent.gate.explanation import Explanation, explain
from volition.consent.gate.one import Gate, decide
from volition.consent.gate.table import Engine, check_source, judge, permitted_sql, reason_of, reasons_sql
from volition.consent.gate.verdict import Record, Verdict, instant_text, remedy
from volition.consent.permits import REASON_CODES

__all__ = [
    "REASON_CODES",
    "Circles",
    "Engine",
    "Explanation",
    "Gate",
    "Participant",
    "Record",
    "Standing",
    "Standings",
    "Subject",
    "Verdict",
    "check_source",
    "concerned",
    "decide",
    "explain",
    "fold",
    "heard",
    "instant_text",
    "judge",
    "keepable",
    "own",
    "permitted_sql",
    "reason_of",
    "reasons_sql",
    "remedy",
    "stand",
]
