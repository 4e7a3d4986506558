"""The forms of what is published and of who looked (docs/formats/entries.md)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from volition_formats.permits import (
    CATEGORIES,
    DAY,
    PURPOSES,
    age,
    as_list,
    covers,
    is_region,
    leaves,
    matches,
    nameable,
    places_of,
)
from volition_formats.report import demand
from volition_formats.spellings import (
    Json,
    Object,
    any_instant,
    canonical,
    instant,
    instant_text,
    is_count,
    is_hex,
    text,
    texts,
)

_VERSION = {"id", "title", "effective", "acceptance", "text_digest", "rule"}


_RULE = {"data", "purpose", "basis"}
_DECLARED = {
    "category": {"name", "words", "content", "briefly"},
    "purpose": {"name", "title", "does", "without", "briefly"},
}


_WORDS = {"account", "person", "everyone"}
_CONVERSATION = "[0-9a-f]{16}|[0-9a-f]{32}"
_SOURCE = "[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,99}"
_ACTS = ("alias", "rename", "merge", "apart", "move", "leave")
_CONVERSATIONS = ("meeting", "channel", "file", "written", "written-to-all")
_OF_PARTY = ("decision", "region", "signal", "exclusion", "erasure")


def check_form(kind: str, body: Object) -> None:
    """Refuse a body in which a party, an answer or a name is spelt another way: it would be nobody's."""
    if kind in _OF_PARTY:
        for whose in [body["party"], *(body[name] for name in ("namesake", "same_as") if name in body)]:
            demand(is_party(whose), f"{whose!r} is no party.")
    if kind in ("acceptance", "limit", "exclusion", "sharing", "notice"):
        demand(is_party(f"account:{text(body['account'])}"), f"The account {body['account']!r} has no id.")
    if kind == "decision":
        _check_answer(body)
    if kind == "signal":
        demand(body["signal"] == "gpc", f"The signal {body['signal']!r} is none.")
    if kind in ("decision", "limit", "exclusion"):
        demand(all(body[name] for name in ("data", "purpose") if name in body), "Something is said of no use.")
    if kind in ("limit", "identity"):
        people = texts(body["people"])
        demand(
            all(one.startswith("person:") and is_party(one) for one in people), "Somebody is named who is no person."
        )
    if kind == "exclusion":
        demand(re.fullmatch(_CONVERSATION, body["conversation"]), "A conversation is named in another way.")
    if kind == "identity":
        demand(body["act"] in _ACTS, "It is not known what was done to an identity.")
        known = set(people) - {"person:unknown"}
        demand(body["act"] != "merge" or len(people) == len(known) == 2, "It merges not two people.")
        demand(body["by"] == "operator" or is_party(body["by"]), "It is not known who said it.")
    _check_told(kind, body)


def _check_told(kind: str, body: Object) -> None:
    """Refuse a body of another form, on which no permission rests: somebody reads it all the same."""
    if kind == "sharing":
        demand(body["conversation"] in _CONVERSATIONS, "A conversation is of no known kind.")
        demand(all(is_party(one) for one in texts(body["with"])), "It is opened to somebody who is no party.")
        demand(body["by"] in ("operator", "source") or is_party(body["by"]), "It is not known who opened it.")
    if kind == "notice":
        text(body["terms"])
        any_instant(body["ends"])
    if kind == "removal":
        demand(all(is_party(one) for one in texts(body["parties"])), "Rows of somebody went who is no party.")
        fits = is_count(body["rows"]) and is_count(body["left"]) and is_hex(body["of"])
        demand(fits and isinstance(text(body["table"]), str), "What is said of a table has another form.")
    if kind == "collect":
        fits = set(body) == {"records", "root"} and is_count(body["records"]) and body["records"]
        demand(fits and is_hex(body["root"]), "What is said of a batch has another form.")


def _check_answer(body: Object) -> None:
    demand(body["answer"] in ("yes", "no"), f"The answer {body['answer']!r} is none.")
    if "claim" in body:
        _check_claim(body["claim"])


def _check_claim(claim: Object) -> None:
    demand(
        {"said", "by", "source"} <= set(claim) <= {"said", "by", "source", "id", "wording"}, "A claim has other keys."
    )
    any_instant(claim["said"])
    demand(claim["by"] == "operator" or is_party(claim["by"]), "Nobody imported an answer.")
    demand(re.fullmatch(_SOURCE, text(claim["source"])), "An imported answer comes from nowhere.")
    demand(
        re.fullmatch("[0-9a-f]{32}", text(claim.get("id", "0" * 32))), "An imported answer has an id of another form."
    )
    demand("wording" not in claim or is_hex(claim["wording"]), "The wording of an imported answer is no digest.")


def is_party(value: Json) -> bool:
    """Whether that is a party as entries name one."""
    kind, _, whose = text(value).partition(":")
    if kind == "account":
        return whose != "" and whose == whose.strip(" ") and not any(one < " " for one in whose)
    return re.fullmatch("person:([0-9a-f]{32}|unknown)", value) is not None


def version_fault(version: Object) -> str | None:
    """Why a terms version cannot be read (entries.md, terms); none if it can."""
    if not _VERSION <= set(version) <= _VERSION | {"notice_days", "switch", "signal", "category", "purpose"}:
        return "has other keys than a version has"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", version["id"]) or len(canonical(version)) > 60_000:
        return "has an id of another form, or is too long"
    if not _title_form(version["title"]) or not is_hex(version["text_digest"]):
        return "has a title or a digest of another form"
    days = version.get("notice_days", 30)
    if version["acceptance"] not in ("continued-use", "explicit") or not is_count(days) or days > 3650:
        return "has an acceptance or a notice period of another form"
    any_instant(version["effective"])
    if not _declared_form(version):
        return "declares a name of another form, or one that is taken"
    data, uses = nameable(version, "category"), nameable(version, "purpose")
    rules, signal = version["rule"], version.get("signal", {})
    if not isinstance(rules, list) or not rules or not all(_readable(rule, data, uses) for rule in rules):
        return "has a rule of another form"
    if not set(signal) <= {"gpc"} or not all(_signal_form(heard, uses) for heard in signal.values()):
        return "has a signal of another form"
    switches = version.get("switch", [])
    names = {switch["name"] for switch in switches}
    if (
        not isinstance(switches, list)
        or len(names) < len(switches)
        or not all(_switch_form(one, uses) for one in switches)
    ):
        return "has a switch of another form"
    return _contested(version)


def _declared_form(version: Object) -> bool:
    """Whether what a version declares has its form, and takes no name that is taken."""
    built = dict.fromkeys(("service", "content"), "category") | dict.fromkeys(
        ("train", "feature", "advertising", "tracking"), "purpose"
    )
    names: list[str] = []
    for kind, keys in _DECLARED.items():
        tables = version.get(kind, [])
        if not isinstance(tables, list):
            return False
        for one in tables:
            root, below, _ = str(one["name"]).partition("/")
            texts_of = [one[key] for key in keys - {"name", "content"}]
            if (
                set(one) != keys
                or not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}(/[a-z0-9][a-z0-9_-]{0,31})?", text(one["name"]))
                or not all(map(_title_form, texts_of))
                or built.setdefault(root, kind) != kind
                or root in ("account", "person", "signal", "advertising", "tracking")
                or one["name"] in (*CATEGORIES, *PURPOSES, "service", "content", "train", "feature")
                or (kind == "category" and type(one["content"]) is not bool)
                or (root in ("service", "content") and one["content"] != (root == "content"))
                or (kind == "category" and not below and one["name"] in nameable(version, kind))
            ):
                return False
            names.append(one["name"])
    return len(names) == len(set(names)) <= 100


def _names(words: Json, universe: list[str]) -> bool:
    names = as_list(words)
    return bool(names) and len(set(names)) == len(names) and bool(leaves(names, universe))


def _signal_form(heard: Object, uses: list[str]) -> bool:
    return set(heard) == {"refuses"} and _names(heard["refuses"], uses)


def _switch_form(switch: Object, uses: list[str]) -> bool:
    features = [one for one in uses if one.startswith("feature/")]
    off = switch["off"]
    return (
        set(switch) == {"name", "title", "off"}
        and {"refuses"} <= set(off) <= {"refuses", "disables"}
        and re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", switch["name"]) is not None
        and _title_form(switch["title"])
        and _names(off["refuses"], uses)
        and ("disables" not in off or off["disables"] == [] or _names(off["disables"], features))
    )


def _title_form(title: Json) -> bool:
    return isinstance(title, str) and title.isprintable() and title.strip() != "" and len(title) <= 200


def _age_form(value: Json) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,17}(d|us)", value) is not None


def _readable(rule: Object, data: list[str], uses: list[str]) -> bool:
    asked, refused = (as_list(rule.get(key, [])) for key in ("asks", "refusable_by"))
    places = as_list(rule.get("region", ["DE"]))
    return (
        _RULE <= set(rule) <= _RULE | {"region", "asks", "refusable_by", "max_age", "max_yes_age", "scrub"}
        and _names(rule["data"], data)
        and _names(rule["purpose"], uses)
        and rule["basis"] in ("contract", "consent", "never")
        and all(set(words) <= _WORDS and len(set(words)) == len(words) for words in (asked, refused))
        and ("asks" in rule) == (rule["basis"] == "consent") == bool(asked)
        and not (refused and rule["basis"] == "never")
        and len(set(texts(places))) == len(places) > 0
        and all(one == "EEA" or is_region(one) for one in places)
        and all(_age_form(rule[key]) for key in ("max_age", "max_yes_age") if key in rule)
        and ("max_yes_age" not in rule or (bool(asked) and (age(rule, "max_yes_age") or 0) <= 36_500 * DAY))
        and type(rule.get("scrub", True)) is bool
    )


def _contested(version: Object) -> str | None:
    """Whether two rules tie for a use in a region, or one nowhere wins."""
    winners = set()
    for place in places_of(version):
        rules = [(number, rule) for number, rule in enumerate(version["rule"]) if matches(rule, place)]
        for category in nameable(version, "category"):
            for purpose in nameable(version, "purpose"):
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


def missing_notices(entries: Iterable[Object]) -> Iterator[str]:
    """Say of which version accounts that had accepted terms before were given no notice."""
    accepted: set[str] = set()
    owed: dict[str, tuple[int, set[str]]] = {}
    for entry in entries:
        kind, body = entry["kind"], entry["body"]
        if kind == "acceptance":
            accepted.add(body["account"])
        elif kind == "terms":
            owed.setdefault(body["terms"]["id"], (entry["seq"], set(accepted)))
        elif kind == "notice" and body["terms"] in owed:
            owed[body["terms"]][1].discard(body["account"])
    for name, (seq, accounts) in owed.items():
        if accounts:
            yield f"Without notice: of the terms {name} (entry {seq}) no notice is recorded for {len(accounts)}"


def check_access(entry: Object) -> None:
    """An entry of kind `access` has its form, and is dated after its day."""
    body = entry["body"]
    demand(set(body) == {"day", "lines", "root"}, "An entry of who looked has other keys.")
    demand(
        is_hex(body["root"]) and is_count(body["lines"]) and body["lines"], "An entry of who looked has another form."
    )
    over = instant(f"{text(body['day'])}T00:00:00.000000Z") + DAY
    demand(instant(entry["at"]) >= over, f"Who looked on {body['day']} was written down before the day was over.")


def imported_answers(entries: Sequence[Object]) -> Iterator[str]:
    """Yield what is the importer's word of answers that were given elsewhere, if there are any."""
    total = sum(entry["kind"] == "decision" and "claim" in entry["body"] for entry in entries)
    if total:
        yield f"answers: when and where {total:,} were given, as whoever imported them says"


def late_forgettings(
    entries: Sequence[Object], at: Sequence[int], trained: Mapping[str, Object], forgotten: Mapping[str, int]
) -> Iterator[str]:
    """Yield which forgettings came late, as sentences: that fails nothing.

    Args:
        entries: The log's entries.
        at: The instant of each, in microseconds.
        trained: The entries of models, by their names.
        forgotten: The numbers of the entries by which they forgot, likewise.
    """
    for model, seq in forgotten.items():
        days = trained[model]["body"].get("due_days", 30)
        if not is_count(days):
            yield f"Nobody knows whether {model} was forgotten late: it promises {days!r}."
            continue
        for party in entries[seq]["body"]["parties"]:
            said = [at[one["seq"]] for one in entries[: seq + 1] if _is_no(one, party)]
            if said and said[-1] > at[trained[model]["seq"]] and at[seq] - said[-1] > days * DAY:
                yield f"Forgotten late: {model}, of {party}, who said no at {instant_text(said[-1])}"


def _is_no(entry: Object, party: str) -> bool:
    body = entry["body"]
    said = entry["kind"] == "erasure" or (entry["kind"] == "decision" and body["answer"] != "yes")
    return said and bool(body["party"] == party)
