"""When something is due: the words that say so, and the day that they mean, seen from the day when they were said."""

import calendar
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

_ORDINALS: Final = {
    name: number
    for number, names in enumerate(
        (
            "first ersten erste", "second zweiten zweite", "third dritten dritte", "fourth vierten vierte",
            "fifth fünften fünfte", "sixth sechsten sechste", "seventh siebten siebte", "eighth achten achte",
            "ninth neunten neunte", "tenth zehnten zehnte", "eleventh elften elfte", "twelfth zwölften zwölfte",
            "thirteenth dreizehnten", "fourteenth vierzehnten", "fifteenth fünfzehnten", "sixteenth sechzehnten",
            "seventeenth siebzehnten", "eighteenth achtzehnten", "nineteenth neunzehnten", "twentieth zwanzigsten",
            "twenty-first einundzwanzigsten", "twenty-second zweiundzwanzigsten", "twenty-third dreiundzwanzigsten",
            "twenty-fourth vierundzwanzigsten", "twenty-fifth fünfundzwanzigsten", "twenty-sixth sechsundzwanzigsten",
            "twenty-seventh siebenundzwanzigsten", "twenty-eighth achtundzwanzigsten",
            "twenty-ninth neunundzwanzigsten", "thirtieth dreißigsten", "thirty-first einunddreißigsten",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_DAYS: Final[Mapping[str, int]] = {
    **{day.lower(): number for number, day in enumerate(calendar.day_name)},
    **{
        day: number
        for number, day in enumerate(("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"))
    },
    "sonnabend": 5,
}
_MONTHS: Final[Mapping[str, int]] = {
    **{name.lower(): number for number, name in enumerate(calendar.month_name) if name},
    **{
        name: number
        for number, name in enumerate(
            "januar februar märz april mai juni juli august september oktober november dezember".split(),  # noqa: SIM905
            start=1,
        )
    },
}
_COUNTS: Final = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10,
    "einem": 1, "einer": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "zehn": 10,
}  # fmt: skip
_NEAR: Final = {"tomorrow": 1, "morgen": 1, "übermorgen": 2}  # all others mean the day itself


def _either(names: Mapping[str, int]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_DATE: Final = re.compile(
    r"\b(?:(?P<iso>\d{4}-\d{2}-\d{2})|"
    r"(?P<near>today|tonight|tomorrow|this (?:morning|afternoon|evening)|by noon|before noon|"
    r"(?:by|before|until) (?:(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?= o'clock|[.,!?]|"
    r"$)|\d{1,2} ?[ap]m)|"
    r"heute(?: (?:morgen|früh|vormittag|mittag|nachmittag|abend))?|übermorgen|"
    r"(?<!heute )(?<!guten )morgen(?! zusammen)|"
    r"bis (?:heute )?(?:mittag|abend))|"
    rf"(?:by|before|on|until|this|due|at noon on|from|bis|am|ab|vor|diesen|kommenden|bis zum) (?:this |kommenden |"
    rf"diesen )?(?P<weekday>{_either(_DAYS)})"
    r"(?! (?:last|gone)\b)(?P<week> next week| nächster woche| nächste woche)?|"
    rf"(?P<month>{_either(_MONTHS)}) (?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)|"
    rf"(?P<day2>\d{{1,2}})(?:st|nd|rd|th|\.)? (?:of )?(?P<month2>{_either(_MONTHS)})|"
    rf"(?P<day3>{_either(_ORDINALS)}) (?:of )?(?P<month3>{_either(_MONTHS)})|"
    rf"(?:by|before|on|until|from|for|at|zum|am|ab|dem|vom|bis) (?:the |zum |dem |"
    rf"am )?(?P<ordinal>{_either(_ORDINALS)}|\d{{1,2}}(?:st|nd|rd|th))"
    r"(?! (?:half|time|place|part|one|of|week|slide|person|item|point|meeting|step|slot|two|three|day|hälfte|"
    r"schritt|punkt|woche|mal|teil|mietern)\b)|"
    rf"in (?P<count>\d{{1,2}}|{_either(_COUNTS)}) (?P<unit>day|week|tage?|wochen?)[sn]?|"
    r"(?:by |at |before |bis |zum |bis zum )?(?:the )?(?:end of|ende) (?:the |this |der |des |dieser |dieses )?"
    rf"(?P<end>week|month|woche|monats|{_either(_MONTHS)})|"
    rf"(?:by |until |bis )?(?P<vague>next (?:week|month|time|meeting|{_either(_DAYS)})|this week|next spring|"
    rf"(?:nächste[nrs]?|kommende[nrs]?) (?:woche|monat|mal|sitzung|{_either(_DAYS)})|diese woche))\b",
    re.IGNORECASE,
)


def due_in(text: str, said: date) -> tuple[str, date | None] | None:
    """Find when something is due.

    Args:
        text: A sentence, English or German.
        said: The day on which it was said, where it is read. A weekday is the next one after it, a day of a month the
            next one from it.

    Returns:
        The words, verbatim, and the day if they mean one; none if no time was said.
    """
    found = _DATE.search(text)
    return None if found is None else (found.group(), _day(found, said))


def _day(found: re.Match[str], said: date) -> date | None:  # noqa: C901 - one line for each way to name a day
    part = {name: value.lower() for name, value in found.groupdict().items() if value is not None}
    if "iso" in part:
        try:
            return date.fromisoformat(part["iso"])
        except ValueError:
            return None
    if "near" in part:
        return said + timedelta(days=_NEAR.get(part["near"], 0))
    if "weekday" in part:
        wanted = _DAYS[part["weekday"]]
        if "week" in part:
            return said + timedelta(days=7 - said.weekday() + wanted)
        return said + timedelta(days=(wanted - said.weekday() - 1) % 7 + 1)
    if "count" in part:
        count = _COUNTS.get(part["count"]) or int(part["count"])
        return said + timedelta(days=count * (7 if part["unit"].startswith("w") else 1))
    if "end" in part:
        return _end(part["end"], said)
    for day, month in (("day", "month"), ("day2", "month2"), ("day3", "month3")):
        if day in part:
            return _next(said, _ORDINALS.get(part[day]) or int(part[day]), _MONTHS[part[month]])
    if "ordinal" in part:
        digits = re.sub(r"\D", "", part["ordinal"])
        return _next(said, _ORDINALS.get(part["ordinal"]) or int(digits or 0), None)
    return None  # "next Friday" and "the end of the week" mean different days to different people


def _end(of: str, said: date) -> date | None:
    if of in {"month", "monats"}:
        return said.replace(day=calendar.monthrange(said.year, said.month)[1])
    if of in {"week", "woche"}:
        return None
    month = _MONTHS[of]
    year = said.year + (month < said.month)
    return date(year, month, calendar.monthrange(year, month)[1])


def _next(said: date, day: int, month: int | None) -> date | None:
    """Return the next day of this number, of one month or of any, from the day on which it was said."""
    for ahead in range(12 * 9):  # 29 February is some years away
        year, number = divmod(said.year * 12 + said.month - 1 + ahead, 12)
        if month is not None and number + 1 != month:
            continue
        try:
            found = date(year, number + 1, day)
        except ValueError:
            continue
        if found >= said:
            return found
    return None
