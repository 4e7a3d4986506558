"""The forms of what is published and of who looked (docs/formats/entries.md)."""

import re

from volition_formats.permits import (
    CATEGORIES,
    DAY,
    PLACE,
    PURPOSES,
    age,
    as_list,
    covers,
    leaves,
    matches,
    places_of,
)
from volition_formats.report import demand
from volition_formats.spellings import (
    Json,
    Object,
    any_instant,
    canonical,
    instant,
    is_count,
    is_hex,
    text,
    texts,
)

_VERSION = {"id", "title", "effective", "acceptance", "text_digest", "rule"}


_RULE = {"data", "purpose", "basis"}


_WORDS = {"account", "person", "everyone"}
FEATURES = [one for one in PURPOSES if one.startswith("feature/")]


def version_fault(version: Object) -> str | None:
    """Why a terms version cannot be read (entries.md, terms); none if it can."""
    if not _VERSION <= set(version) <= _VERSION | {"notice_days", "switch", "signal"}:
        return "has other keys than a version has"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", version["id"]) or len(canonical(version)) > 60_000:
        return "has an id of another form, or is too long"
    if not _title_form(version["title"]) or not is_hex(version["text_digest"]):
        return "has a title or a digest of another form"
    days = version.get("notice_days", 30)
    if version["acceptance"] not in ("continued-use", "explicit") or not is_count(days) or days > 3650:
        return "has an acceptance or a notice period of another form"
    any_instant(version["effective"])
    rules, signal = version["rule"], version.get("signal", {})
    if not isinstance(rules, list) or not rules or not all(map(_readable, rules)):
        return "has a rule of another form"
    if not set(signal) <= {"gpc"} or not all(_signal_form(heard) for heard in signal.values()):
        return "has a signal of another form"
    switches = version.get("switch", [])
    named = {switch["name"] for switch in switches}
    if not isinstance(switches, list) or len(named) < len(switches) or not all(map(_switch_form, switches)):
        return "has a switch of another form"
    return _contested(version)


def _names(words: Json, universe: list[str]) -> bool:
    names = as_list(words)
    return bool(names) and len(set(names)) == len(names) and bool(leaves(names, universe))


def _signal_form(heard: Object) -> bool:
    return set(heard) == {"refuses"} and _names(heard["refuses"], PURPOSES)


def _switch_form(switch: Object) -> bool:
    off = switch["off"]
    return (
        set(switch) == {"name", "title", "off"}
        and {"refuses"} <= set(off) <= {"refuses", "disables"}
        and re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", switch["name"]) is not None
        and _title_form(switch["title"])
        and _names(off["refuses"], PURPOSES)
        and ("disables" not in off or off["disables"] == [] or _names(off["disables"], FEATURES))
    )


def _title_form(title: Json) -> bool:
    return isinstance(title, str) and title.isprintable() and title.strip() != "" and len(title) <= 200


def _age_form(value: Json) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,17}(d|us)", value) is not None


def _readable(rule: Object) -> bool:
    asked, refused = (as_list(rule.get(key, [])) for key in ("asks", "refusable_by"))
    places = as_list(rule.get("region", ["DE"]))
    return (
        _RULE <= set(rule) <= _RULE | {"region", "asks", "refusable_by", "max_age", "max_yes_age", "scrub"}
        and _names(rule["data"], CATEGORIES)
        and _names(rule["purpose"], PURPOSES)
        and rule["basis"] in ("contract", "consent", "never")
        and all(set(words) <= _WORDS and len(set(words)) == len(words) for words in (asked, refused))
        and ("asks" in rule) == (rule["basis"] == "consent") == bool(asked)
        and not (refused and rule["basis"] == "never")
        and len(set(texts(places))) == len(places) > 0
        and all(one == "EEA" or re.fullmatch(PLACE, one) for one in places)
        and all(_age_form(rule[key]) for key in ("max_age", "max_yes_age") if key in rule)
        and ("max_yes_age" not in rule or (bool(asked) and (age(rule, "max_yes_age") or 0) <= 36_500 * DAY))
        and type(rule.get("scrub", True)) is bool
    )


def _contested(version: Object) -> str | None:
    """Whether two rules tie for a use in a region, or one nowhere wins."""
    winners = set()
    for place in places_of(version):
        rules = [(number, rule) for number, rule in enumerate(version["rule"]) if matches(rule, place)]
        for category in CATEGORIES:
            for purpose in PURPOSES:
                ranks = []
                for number, rule in rules:
                    data = [len(name) for name in as_list(rule["data"]) if covers(name, category)]
                    wanted = [len(name) for name in as_list(rule["purpose"]) if covers(name, purpose)]
                    if data and wanted:
                        ranks.append(((bool(rule.get("region")), max(data), max(wanted)), number))
                ranks.sort(reverse=True)
                if len(ranks) > 1 and ranks[0][0] == ranks[1][0]:
                    return f"has two rules that tie for {category} and {purpose}"
                winners |= {number for _, number in ranks[:1]}
    return "has a rule that nowhere wins" if len(winners) < len(version["rule"]) else None


def check_access(entry: Object) -> None:
    """An entry of kind `access` has its form, and is dated after its day."""
    body = entry["body"]
    demand(set(body) == {"day", "lines", "root"}, "An entry of who looked has other keys.")
    demand(
        is_hex(body["root"]) and is_count(body["lines"]) and body["lines"], "An entry of who looked has another form."
    )
    over = instant(f"{text(body['day'])}T00:00:00.000000Z") + DAY
    demand(instant(entry["at"]) >= over, f"Who looked on {body['day']} was written down before the day was over.")
