"""Many records at a time, by the effective permits of their party sets: a look-up and a comparison each.

Said twice, and tests hold it equal: `judge` over columns in memory, and plain SQL that any engine runs. A record whose
party set has no effective permit is refused. About what was collected after the instant asked about, `judge` does not
answer, and the SQL leaves it out.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from volition.canonical import us_to_text
from volition.consent.gate.party_sets import EffectivePermits
from volition.consent.permits import REASON_CODES, Reason
from volition.errors import InvalidInputError

_HEXADECIMAL: Final = re.compile("[0-9a-f]+")

_BEFORE_YES: Final = REASON_CODES[Reason.BEFORE_YES]
_TOO_OLD: Final = REASON_CODES[Reason.TOO_OLD]
_AT_A_TIME: Final = 1 << 16

_IS_EXCLUDED: Final = (
    "EXISTS (SELECT 1 FROM excluded WHERE excluded.circle = records.circle"
    " AND (excluded.source = records.source OR records.source IS NULL))"
)

_REASONS: Final = {code: reason for reason, code in REASON_CODES.items()}


class Engine(Protocol):
    """Judges record files by the gate's SQL: `records` is bound to the files, `effective_permits` to the table.

    Tests hold all engines equal, row by row and reason by reason.
    """

    def permitted(
        self,
        files: Sequence[str],
        effective_permits: EffectivePermits,
        *,
        derived: Sequence[str] = (),
        source: str | None = None,
    ) -> Iterator[Any]:
        """Yield the permitted records of one bucket as Arrow record batches; `derived` files add an embedding."""
        ...

    def reasons(
        self, files: Sequence[str], effective_permits: EffectivePermits, *, source: str | None = None
    ) -> dict[Reason | None, int]:
        """Count the records of one bucket by reason; none stands for permitted."""
        ...


def judge(
    effective_permits: EffectivePermits, party_set: NDArray[np.integer], collected_us: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Judge many records of one bucket and category at once, as the SQL does; a look-up and a comparison each.

    Args:
        effective_permits: The bucket's, for the category; none may be `excluded`, which only an engine sees.
        party_set: Dense id of each record's party set, (n,).
        collected_us: Instant of each record's collection, int64, (n,).

    Returns:
        Codes of `REASON_CODES`, int8, (n,); 0 where the record is permitted.

    Raises:
        InvalidInputError: A record was collected after the instant that is asked about.
    """
    if effective_permits.excluded:
        raise InvalidInputError(
            "Conversations that were left out are told apart where their records lie: ask the lake."
        )
    if len(collected_us) and int(collected_us.max()) > effective_permits.at_us:
        msg = f"A record was collected after {us_to_text(effective_permits.at_us)}, the instant asked about. Ask later."
        raise InvalidInputError(msg)
    earliest_us = np.maximum(effective_permits.since_us, effective_permits.oldest_us)
    codes = np.zeros(len(party_set), np.int8)
    end = len(earliest_us)
    for start in range(0, len(party_set), _AT_A_TIME):  # what fits into a processor's cache is judged fastest
        asked, when = party_set[start : start + _AT_A_TIME], collected_us[start : start + _AT_A_TIME]
        known = asked if _all_below(asked, end) else np.where((asked >= 0) & (asked < end), asked, -1)
        if known is not asked:
            codes[start : start + _AT_A_TIME][known < 0] = REASON_CODES[Reason.UNKNOWN_PARTY]
            places = np.flatnonzero(known >= 0)
            places = places[when[places] < earliest_us[known[places]]]
        else:
            places = np.flatnonzero(when < earliest_us[asked])
        if len(places):
            of, refused = asked[places], effective_permits.reason[asked[places]]
            too_old = np.where(when[places] < effective_permits.since_us[of], _BEFORE_YES, _TOO_OLD)
            codes[start + places] = np.where(refused > 0, refused, too_old)
    return codes


def _all_below(party_set: NDArray[np.integer], end: int) -> bool:
    return len(party_set) == 0 or bool(party_set.min() >= 0 and party_set.max() < end)


def permitted_sql(at_us: int, *, source: str | None = None, excluded: bool = False) -> str:
    """Return the SQL that keeps the permitted rows of `records`, given `effective_permits`, on any engine.

    Args:
        at_us: Instant asked about; records collected later are left out.
        source: Only the records of this meeting or channel (hexadecimal); none for all.
        excluded: Whether there is a table `excluded`: `circle` and `source` of conversations that were left out.
    """
    left_out = f" AND NOT {_IS_EXCLUDED}" if excluded else ""
    return f"""
        SELECT records.*
        FROM records JOIN effective_permits ON records.circle = effective_permits.circle
        WHERE records.collected_us >= effective_permits.since_us
          AND records.collected_us >= effective_permits.oldest_us
          AND records.collected_us <= {int(at_us)}{_of_source(source)}{left_out}
    """  # noqa: S608 - nothing but an integer and a checked hexadecimal text enters


def reasons_sql(at_us: int, *, source: str | None = None, excluded: bool = False) -> str:
    """Return the SQL that counts the rows of `records` by reason code, 0 for permitted, in `reason` and `total`.

    Takes what `permitted_sql` takes.
    """
    left_out = f"WHEN {_IS_EXCLUDED} THEN {REASON_CODES[Reason.EXCLUDED]}" if excluded else ""
    return f"""
        SELECT CASE WHEN effective_permits.circle IS NULL THEN {REASON_CODES[Reason.UNKNOWN_PARTY]}
                    WHEN effective_permits.reason <> 0 THEN effective_permits.reason
                    {left_out}
                    WHEN records.collected_us < effective_permits.since_us THEN {REASON_CODES[Reason.BEFORE_YES]}
                    WHEN records.collected_us < effective_permits.oldest_us THEN {REASON_CODES[Reason.TOO_OLD]}
                    ELSE 0 END AS reason,
               COUNT(*) AS total
        FROM records LEFT JOIN effective_permits ON records.circle = effective_permits.circle
        WHERE records.collected_us <= {int(at_us)}{_of_source(source)}
        GROUP BY 1
    """  # noqa: S608 - nothing but integers and a checked hexadecimal text enters


def _of_source(source: str | None) -> str:
    return "" if source is None else f" AND records.source = '{check_source(source)}'"


def check_source(source: str) -> str:
    """Return the identity of a meeting or channel unchanged, hexadecimal.

    Raises:
        InvalidInputError: It is none.
    """
    if not _HEXADECIMAL.fullmatch(source):
        msg = f"{source!r} is no identity of a meeting or channel; `lake.source_id` makes one."
        raise InvalidInputError(msg)
    return source


def reason_of(code: int) -> Reason | None:
    """Return the reason that a code stands for; none for 0."""
    return _REASONS[code] if code else None
