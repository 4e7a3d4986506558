"""What docs/formats gives as code: canonical JSON, instants, the replay of permits, Parquet, a card's page, a receipt's record.

Everything here computes and decides nothing about a bundle: that is in `volition_verify.py`. What is malformed raises one of
`MALFORMED`. The pages name each function's source: index.md, permits.md, keys.md, release.md, receipt.md.
"""

import base64
import hashlib
import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

Json: TypeAlias = Any  # whatever json.loads returns
Object: TypeAlias = dict[str, Any]
MALFORMED = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError, struct.error)

# ---------------------------------------------------------------------------------------------- index.md: JSON, spellings


def digest_of(data: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _once(pairs: list[tuple[str, Json]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else 2**64
    if abs(value) >= 2**53:
        raise ValueError("an integer is too large for JSON")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def parse(data: bytes | str) -> Json:
    """Read JSON in UTF-8; no key twice, no integer beyond 2^53 - 1."""
    text = data if isinstance(data, str) else data.decode()
    return json.loads(text, object_pairs_hook=_once, parse_int=_integer, parse_constant=_no_constant)


def _number(value: float) -> str:
    """A number as ECMAScript writes it (RFC 8785, 3.2.2.3)."""
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    if value == 0:
        return "0"
    sign, places, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, places))
    short = digits.rstrip("0")
    point = len(digits) + int(exponent)  # where the point stands, counted from the first digit
    if len(short) <= point <= 21:
        text = short + "0" * (point - len(short))
    elif 0 < point <= 21:
        text = f"{short[:point]}.{short[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + short
    else:
        text = short[0] + (f".{short[1:]}" if short[1:] else "") + f"e{point - 1:+d}"
    return "-" * sign + text


def _written(value: Json) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_written(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return _number(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def canonical(value: Json) -> bytes:
    """RFC 8785."""
    return _written(value).encode()


def parse_canonical(data: bytes | str) -> Json:
    """Read JSON that is in canonical form, and refuse any other."""
    value = parse(data)
    if canonical(value) != (data.encode() if isinstance(data, str) else data):
        raise ValueError("it is not canonical JSON")
    return value


def same(one: Json, other: Json) -> bool:
    """Equal as JSON: true is not 1."""
    return canonical(one) == canonical(other)


def is_hex(value: Json, size_bytes: int = 32) -> bool:
    """Lower-case hexadecimal of that many bytes."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]*", value) is not None and len(value) == 2 * size_bytes


def is_count(value: Json) -> bool:
    """An integer from 0 on."""
    return type(value) is int and value >= 0


def is_number(value: Json) -> bool:
    """A finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def base64_bytes(text: str) -> bytes:
    """The bytes of base64 in its one spelling."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 is spelt in another way")
    return data


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_EARLY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?")


def _microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def instant(text: Json) -> int:
    """An instant in its one spelling, as microseconds since 1970."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} is no instant")
    return _microseconds(text)


def any_instant(text: Json) -> int:
    """An instant in a spelling of `covers`, `until`, `effective` and `binds`; a date is its first instant in UTC."""
    if not isinstance(text, str) or not _EARLY.fullmatch(text):
        raise ValueError(f"{text!r} is no instant")
    return _microseconds(text)


def instant_text(at: int) -> str:
    """The spelling of an instant."""
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def texts(value: Json) -> list[str]:
    """A list of texts, or fail."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of texts is asked for")
    return value


def text(value: Json) -> str:
    """A text, or fail."""
    if not isinstance(value, str):
        raise TypeError(f"a text is asked for, not {value!r}")
    return value


# --------------------------------------------------------------------------------------------------------- permits.md

CATEGORIES = (
    "service/usage service/telemetry service/diagnostics content/audio content/video content/chat"
    " content/transcript content/files"
).split()
PURPOSES = (
    "train/search train/recommend train/summary train/compose train/diagnose feature/search feature/recommend"
    " feature/summary feature/compose feature/diagnose advertising tracking"
).split()
EEA = set("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split())
DAY, WRITING = 86_400_000_000, 60_000_000
BEGINNING = -(2**62)  # before every record

Step: TypeAlias = tuple[int, int, bool, Object]  # from when on, order of publication, by acceptance, version
Permit: TypeAlias = tuple[str | None, int, int | None]  # why not, since when, how old a record may be


def covers(name: str, leaf: str) -> bool:
    """Whether a name is the leaf, or stands above it."""
    return leaf == name or leaf.startswith(name + "/")


def leaves(names: Json, universe: list[str]) -> set[str]:
    """What a list of names covers; a name that covers nothing is an error."""
    for name in texts(names):
        if not any(covers(name, leaf) for leaf in universe):
            raise ValueError(f"{name!r} covers nothing")
    return {leaf for leaf in universe if any(covers(name, leaf) for name in names)}


def as_list(words: Json) -> list[str]:
    """One text is a list of one."""
    return [words] if isinstance(words, str) else texts(words)


class History:
    """What the first entries of a log say, as far as permission rests on it (permits.md, 1)."""

    def __init__(self) -> None:
        self.published: dict[str, tuple[Object, int, int, int]] = {}  # terms, binds, at, order
        self.accepted: dict[str, list[tuple[int, str]]] = {}
        self.decisions: dict[str, list[Object]] = {}
        self.signals: dict[str, list[tuple[int, str, bool]]] = {}
        self.regions: dict[str, list[tuple[int, str]]] = {}
        self.limits: dict[str, list[Object]] = {}
        self.members: dict[tuple[str, str], list[str]] = {}
        self.exclusions: list[Object] = []
        self.erased: dict[str, int] = {}
        self.namesakes: dict[str, dict[str, int]] = {}
        self.memo: dict[Any, Any] = {}  # answers, until something more is read

    def read(self, kind: str, body: Object, at: int) -> None:
        """Add one entry. A kind without a reader changes nothing."""
        reader = getattr(self, f"_read_{kind}", None)
        if reader is not None:
            self.memo.clear()
            reader(body, at)

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:  # noqa: ANN401 - what is kept is the caller's
        """Keep an answer for as long as nothing more is read."""
        if key not in self.memo:
            self.memo[key] = compute()
        return self.memo[key]

    def _read_terms(self, body: Object, at: int) -> None:
        version = body["terms"]
        if version["id"] not in self.published:
            self.published[version["id"]] = (version, max(any_instant(body["binds"]), at), at, len(self.published))

    def _read_acceptance(self, body: Object, at: int) -> None:
        if body["terms"] not in self.published:
            raise ValueError("terms that were never published are accepted")
        self.accepted.setdefault(text(body["account"]), []).append((at, body["terms"]))

    def _read_decision(self, body: Object, at: int) -> None:
        back, until, yes = body["covers"], body.get("until"), text(body["answer"]) == "yes"
        said = {
            "yes": yes,
            "data": leaves(body["data"], CATEGORIES),
            "purpose": leaves(body["purpose"], PURPOSES),
            "at": at,
            "covers": None if back is None else BEGINNING if back == "past" else any_instant(back),
            "until": None if until is None or not yes else any_instant(until),
            "copy": "namesake" in body,
        }
        self.decisions.setdefault(text(body["party"]), []).append(said)
        self._copied(body, at)

    def _read_signal(self, body: Object, at: int) -> None:
        said = (at, text(body["signal"]), "namesake" in body)
        self.signals.setdefault(text(body["party"]), []).append(said)
        self._copied(body, at)

    def _copied(self, body: Object, at: int) -> None:
        if "namesake" in body:
            for one, other in ((body["party"], body["namesake"]), (text(body["namesake"]), body["party"])):
                self.namesakes.setdefault(one, {}).setdefault(other, at)

    def _read_region(self, body: Object, at: int) -> None:
        self.regions.setdefault(text(body["party"]), []).append((at, text(body["region"])))

    def _read_limit(self, body: Object, at: int) -> None:
        account, name, people, limited = text(body["account"]), text(body["group"]), texts(body["people"]), body["limited"]
        if not all(person.startswith("person:") for person in people):
            raise ValueError("a limit names somebody who is no person")
        if type(limited) is not bool or (people and not name) or (name and limited and not people):
            raise ValueError("a lock names nobody, a limit of a group names its people")
        members = self.members.setdefault((account, name), [])
        members += [f"account:{account}"] if not name else people if limited else []
        limit = {
            "account": account,
            "group": name,
            "limited": limited,
            "at": at,
            "data": leaves(body["data"], CATEGORIES),
            "purpose": leaves(body["purpose"], PURPOSES),
        }
        for party in set(people or members):
            self.limits.setdefault(party, []).append(limit)

    def _read_exclusion(self, body: Object, at: int) -> None:
        if type(body["excluded"]) is not bool:
            raise TypeError("a conversation is left out or taken back in")
        if not body["party"].startswith(("account:", "person:")):
            raise ValueError("somebody who is no party leaves a conversation out")
        self.exclusions.append(
            {
                "account": text(body["account"]),
                "conversation": text(body["conversation"]),
                "party": text(body["party"]),
                "at": at,
                "purpose": leaves(body["purpose"], PURPOSES),
                "excluded": body["excluded"],
                "by": text(body.get("namesake", body["party"])),
            }
        )

    def _read_erasure(self, body: Object, at: int) -> None:
        self.erased.setdefault(text(body["party"]), at)


def matches(rule: Object, region: str | None) -> bool:
    """Whether a rule is for that region (permits.md, 2)."""
    places = rule.get("region", [])
    return not places or (
        region is not None
        and (region in places or region[:2] in places or ("EEA" in places and region[:2] in EEA))
    )


def rule_of(version: Object, category: str, purpose: str, region: str | None) -> Object | None:
    """The most specific rule that applies."""
    best, rank = None, None
    for rule in version["rule"]:
        data = [len(name) for name in as_list(rule["data"]) if covers(name, category)]
        uses = [len(name) for name in as_list(rule["purpose"]) if covers(name, purpose)]
        if data and uses and matches(rule, region):
            own = (bool(rule.get("region")), max(data), max(uses))
            if rank is None or own > rank:
                best, rank = rule, own
    return best


def say(rule: Object | None, role: str) -> int:
    """2: asked. 1: may refuse. 0: no say."""
    if rule is None:
        return 0
    asks, refuses = set(as_list(rule.get("asks", []))), set(as_list(rule.get("refusable_by", [])))
    if role == "alternate":
        return 1 if {"person", "everyone"} & (asks | refuses) else 0
    words = {"account": {"account"}, "first": {"person", "everyone"}, "other": {"everyone"}}[role]
    return 2 if words & asks else 1 if words & refuses else 0


def age(rule: Object | None, key: str) -> int | None:
    """`365d` and `5us` are ages; none where the rule says none."""
    said = None if rule is None else rule.get(key)
    if said is None:
        return None
    return int(said[:-1]) * DAY if said.endswith("d") else int(said[:-2])


def places_of(*versions: Object | None) -> list[str | None]:
    """A region of each sort that the rules of some versions tell apart."""
    named = {place for one in versions if one for rule in one["rule"] for place in rule.get("region", [])}
    found: dict[tuple[bool, ...], str | None] = {}
    for place in [None, *sorted(named - {"EEA"} | (EEA if "EEA" in named else set()))]:
        found.setdefault(tuple(matches(rule, place) for one in versions if one for rule in one["rule"]), place)
    return list(found.values())


def newly_allows(old: Object | None, new: Object) -> bool:
    """Whether a version allows anything that an older one did not (permits.md, 3)."""
    return any(
        loosens(old, new, category, purpose, place)
        for place in places_of(old, new)
        for category in CATEGORIES
        for purpose in PURPOSES
    )


def longer(old: int | None, new: int | None) -> bool:
    """Whether a time is longer than before, none being without end."""
    return old != new and (new is None or (old is not None and old < new))


def signals_for(version: Object, purpose: str) -> set[str]:
    """The signals that a version counts as a no for a purpose."""
    signals = version.get("signal", {}).items()
    return {name for name, heard in signals if any(covers(one, purpose) for one in as_list(heard["refuses"]))}


def loosens(old: Object | None, new: Object, category: str, purpose: str, place: str | None) -> bool:
    """Whether one use in one region is newly allowed."""
    before = rule_of(old, category, purpose, place) if old else None
    after = rule_of(new, category, purpose, place)
    if after is None or after["basis"] == "never":
        return False
    if old is None or before is None or before["basis"] == "never":
        return True
    was, now = ([say(rule, role) for role in ("account", "first", "other")] for rule in (before, after))
    asked = any(pair == (2, 2) for pair in zip(was, now, strict=True))
    return bool(
        any(b > a for b, a in zip(was, now, strict=True))
        or longer(age(before, "max_age"), age(after, "max_age"))
        or (asked and longer(age(before, "max_yes_age"), age(after, "max_yes_age")))
        or (before.get("scrub", True) and not after.get("scrub", True))
        or (any(was) and any(now) and signals_for(old, purpose) - signals_for(new, purpose))
    )


def in_force(steps: Iterable[Step]) -> list[tuple[int, Object]]:
    """What is in force from when on, of what may come to bind."""
    found: list[tuple[int, Object]] = []
    newest = -1
    for start, order, by_acceptance, version in sorted(steps, key=lambda step: step[:3]):
        if by_acceptance or order > newest:
            if found and found[-1][0] == start:
                found.pop()  # at one instant the last one is in force
            found.append((start, version))
            newest = order
    return found


def noticed(version: Object, binds: int, steps: list[Step], known: int) -> int:
    """From when on a version binds an account that has not accepted it, and could know of it since `known`."""
    start = binds
    while True:
        end, forces = start, in_force(steps)
        before: list[Object | None] = [*[one for at, one in forces if at <= known][-1:]] or [None]
        for old in before + [one for at, one in forces if known < at < end]:
            if newly_allows(old, version):
                days = max(version.get("notice_days", 30), old.get("notice_days", 30) if old else 0)
                start = max(start, known + days * DAY)
        if start == end:
            return start


def steps_of(h: History, account: str) -> list[Step]:
    """What may bind an account: what it accepted, then each version that needs no acceptance, by publication."""
    steps: list[Step] = []
    accepted = h.accepted.get(account, [])
    for at, name in accepted:
        version, _, _, order = h.published[name]
        steps.append((max(at, any_instant(version["effective"])), order, True, version))
    for version, binds, at, order in h.published.values() if accepted else ():
        if version["acceptance"] == "continued-use" and binds > accepted[0][0]:
            start = noticed(version, binds, steps, max(at - WRITING, accepted[0][0]))
            steps.append((start, order, False, version))
    return steps


def binding(h: History, account: str) -> list[tuple[int, Object]]:
    """What binds an account from when on; the last one that has started is in force."""
    found: list[tuple[int, Object]] = h.once(("binding", account), lambda: in_force(steps_of(h, account)))
    return found


def region(h: History, party: str, account: str, at: int) -> str | None:
    """A party's region: its own, else the account's."""
    for whose in (party, f"account:{account}"):
        known = [place for since, place in h.regions.get(whose, []) if since <= at]
        if known:
            return known[-1]
    return None


def rules_at(h: History, use: Object, at: int, asked: int) -> tuple[Object | None, list[Object | None]]:
    """The version that binds, and the rules that apply: first that of the party itself."""
    bound = [(start, version) for start, version in binding(h, use["account"]) if start <= asked]
    now = [version for start, version in bound if start <= at]
    if not now and use["role"] != "account":
        now = [version for _, version in bound[:1]]
    if not now:
        return None, []
    where = [region(h, one, use["account"], at) for one in (use["party"], f"account:{use['account']}", *use["people"])]
    category, purpose = use["category"], use["purpose"]

    def rule(place: str | None) -> Object | None:
        return h.once(("rule", now[-1]["id"], category, purpose, place), lambda: rule_of(now[-1], category, purpose, place))

    return now[-1], [rule(place) for place in where]


def answers(h: History, use: Object) -> tuple[list[Object], list[tuple[int, str]]]:
    """The decisions and signals of a party that bear on a use."""
    own = use["role"] == "alternate"
    said = [
        one
        for one in h.decisions.get(use["party"], [])
        if not (own and one["copy"]) and use["category"] in one["data"] and use["purpose"] in one["purpose"]
    ]
    return said, [(at, name) for at, name, copy in h.signals.get(use["party"], []) if not (own and copy)]


def limited(h: History, use: Object, at: int) -> bool:
    """Whether a limit on the party stands."""
    newest = {}
    for one in sorted(h.limits.get(use["party"], []), key=lambda one: (one["at"], one["limited"])):
        of_use = use["category"] in one["data"] and use["purpose"] in one["purpose"]
        if one["account"] == use["account"] and one["at"] <= at and of_use:
            newest[one["group"]] = one["limited"]
    return any(newest.values())


def allowed(h: History, use: Object, at: int, asked: int) -> str | None:
    """None if a use is allowed at one instant, else the reason (permits.md, 4)."""
    if h.erased.get(use["party"], at + 1) <= at:
        return "erased"
    version, rules = rules_at(h, use, at, asked)
    if version is None:
        return "no-terms"
    if rules[0] is None or rules[0]["basis"] == "never":
        return "never"
    if any(say(rule, "account") for rule in rules) and limited(h, use, at):
        return "limited"
    asked_of = max(say(rule, use["role"]) for rule in rules)
    if not asked_of:
        return None
    if use["party"] == "person:unknown":
        return "unknown-party"
    return answered(h, use, at, version, [rule for rule in rules if say(rule, use["role"]) == 2])


def answered(h: History, use: Object, at: int, version: Object, asking: list[Object | None]) -> str | None:
    """None if what the party said allows the use at an instant; `asking` are the rules that ask for its yes."""
    said, signals = answers(h, use)
    yes = [one for one in said if one["yes"] and one["at"] <= at]
    noes = [one["at"] for one in said if not one["yes"] and one["at"] <= at]
    noes += [seen for seen, name in signals if seen <= at and name in signals_for(version, use["purpose"])]
    last = max((one["at"] for one in yes), default=None)
    if noes and (last is None or max(noes) >= last):
        return "withdrawn" if yes and min(one["at"] for one in yes) < max(noes) else "said-no"
    if last is None:
        return "not-asked" if asking else None
    ends = [one["until"] for one in yes if one["at"] == last and one["until"] is not None]
    ends += [last + lasts for rule in asking if (lasts := age(rule, "max_yes_age")) is not None]
    return "expired" if ends and min(ends) <= at else None


def changes(h: History, use: Object, at: int) -> list[int]:
    """The instants up to `at` at which a permit can change (permits.md, 5)."""
    said, signals = answers(h, use)
    ages = {age(rule, "max_yes_age") for version, *_ in h.published.values() for rule in version["rule"]}
    found = {BEGINNING, *(start for start, _ in binding(h, use["account"]))}
    found |= {one["at"] for one in said} | {one["until"] for one in said if one["until"] is not None}
    found |= {one["at"] + lasts for one in said if one["yes"] for lasts in ages if lasts is not None}
    found |= {seen for seen, _ in signals} | {one["at"] for one in h.limits.get(use["party"], [])}
    for whose in (use["party"], f"account:{use['account']}", *use["people"]):
        found |= {since for since, _ in h.regions.get(whose, [])}
    return sorted(one for one in found | {h.erased.get(use["party"], at)} if one <= at)


def permit(h: History, use: Object, at: int) -> Permit:
    """Why a use is refused, or since when it is allowed without a break, and how old a record may be."""
    key = (use["account"], use["party"], use["role"], use["category"], use["purpose"], tuple(use["people"]), at)
    found: Permit = h.once(key, lambda: _permit(h, use, at))
    return found


def _permit(h: History, use: Object, at: int) -> Permit:
    reason = allowed(h, use, at, at)
    if reason is not None:
        return reason, 0, None
    since = at
    for moment in reversed(changes(h, use, at)):
        if allowed(h, use, moment, at) is not None:
            break
        since = moment
    said, _ = answers(h, use)
    back = [one["covers"] for one in said if one["yes"] and one["covers"] is not None and since <= one["at"] <= at]
    return None, min([since, *back]), age(rules_at(h, use, at, at)[1][0], "max_age")


def left_out(h: History, record: Object, purpose: str, at: int) -> str | None:
    """For whom a record's conversation is left out (permits.md, 6)."""
    of_account = [one for one in h.exclusions if one["account"] == record["account"]]
    where = record["conversation"]
    could_be = {
        one["conversation"]
        for one in of_account
        if one["conversation"] == where or (where is None and record["category"].startswith("content/"))
    }
    for party in (f"account:{record['account']}", *record["people"]):
        standing = {}
        for one in of_account:
            of_use = one["conversation"] in could_be and one["party"] == party and purpose in one["purpose"]
            if of_use and one["at"] <= at:
                standing[one["conversation"], one["by"]] = one["excluded"]
        if where != "" and any(standing.values()):
            return party
    return None


def uses(h: History, record: Object, purpose: str, at: int) -> list[Object]:
    """Each party's part in the use of a record (permits.md, 7)."""
    people = record["people"]
    alternates = [one for one, since in h.namesakes.get(people[0], {}).items() if since <= at] if people else []
    roles = [("account", f"account:{record['account']}")]
    for place, person in enumerate(people):
        roles.append(("other" if place else "first", person))
        if place and person in alternates:
            roles.append(("alternate", person))
    shared = {"account": record["account"], "category": record["category"], "purpose": purpose, "people": people}
    return [{**shared, "party": party, "role": role} for role, party in roles]


def may(h: History, record: Object, purpose: str, at: int) -> str | None:
    """None if the record may be used at `at`, else the reason."""
    if record["category"] not in CATEGORIES or purpose not in PURPOSES:
        return "never"
    if not record["people"]:
        return "unknown-party"
    permits = [permit(h, use, at) for use in uses(h, record, purpose, at)]
    for reason, _, _ in permits:
        if reason is not None:
            return reason
    if left_out(h, record, purpose, at) is not None:
        return "excluded"
    if record["collected"] < max(since for _, since, _ in permits):
        return "before-yes"
    if any(oldest is not None and record["collected"] < at - oldest for _, _, oldest in permits):
        return "too-old"
    return None if record["collected"] <= at else "later"


def ceased(h: History, record: Object, purpose: str, at: int, last: int) -> int:
    """When a record that may not be used at `last` ceased to be permitted after `at` (bundle.md, forgetting)."""
    found = [last]
    for use in uses(h, record, purpose, last):
        moments = [at, *(one for one in changes(h, use, last) if at < one <= last)]
        for moment, end in zip(moments, [*moments[1:], last + 1], strict=True):
            reason, since, oldest = permit(h, use, moment)
            if reason is not None or record["collected"] < since:
                found.append(moment)
                break
            if oldest is not None and record["collected"] + oldest + 1 < end:
                found.append(max(record["collected"] + oldest + 1, moment))
                break
    said = {one["at"] for one in h.exclusions if one["account"] == record["account"] and at < one["at"] <= last}
    for moment in sorted({at, last} | said, reverse=True):
        if left_out(h, record, purpose, moment) is None:
            break
        found.append(moment)
    return min(found)


def publication_fault(h: History, body: Object, at: int) -> str | None:
    """What is wrong with an entry of kind `terms`, given what was read before it (permits.md, 8)."""
    version, binds = body["terms"], any_instant(body["binds"])
    if version["id"] in h.published:
        return "was published before"
    if binds < at - WRITING:
        return "binds in the past"
    starts = [
        noticed(version, max(binds, at), steps_of(h, account), max(at, accepted[0][0]))
        for account, accepted in h.accepted.items()
    ]
    earliest = max([max(binds, at), *starts])
    return "binds before its notice period ends" if max(binds, at) < earliest - WRITING else None


_VERSION = {"id", "title", "effective", "acceptance", "text_digest", "rule"}
_RULE = {"data", "purpose", "basis"}
_WORDS = {"account", "person", "everyone"}


def version_fault(version: Object) -> str | None:
    """Why a terms version cannot be read (entries.md, terms); none if it can."""
    if not _VERSION <= set(version) <= _VERSION | {"notice_days", "switch", "signal"}:
        return "has other keys than a version has"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", version["id"]) or len(canonical(version)) > 60_000:
        return "has an id of another form, or is too long"
    title = version["title"]
    if not (isinstance(title, str) and len(title.splitlines()) <= 1 and len(title) <= 200 and is_hex(version["text_digest"])):
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
    if not isinstance(version.get("switch", []), list) or not all(map(_switch_form, version.get("switch", []))):
        return "has a switch of another form"
    return _contested(version)


def _names(words: Json, universe: list[str]) -> bool:
    names = as_list(words)
    return bool(names) and len(set(names)) == len(names) and bool(leaves(names, universe))


def _signal_form(heard: Object) -> bool:
    return set(heard) == {"refuses"} and _names(heard["refuses"], PURPOSES)


def _switch_form(switch: Object) -> bool:
    off = switch["off"]
    known = set(switch) == {"name", "title", "off"} and {"refuses"} <= set(off) <= {"refuses", "disables"}
    return known and _names(off["refuses"], PURPOSES) and as_list(off.get("disables", [])) is not None


def _age_form(value: Json) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,17}(d|us)", value) is not None


def _readable(rule: Object) -> bool:
    asked, refused = (as_list(rule.get(key, [])) for key in ("asks", "refusable_by"))
    places = rule.get("region", ["DE"])
    return (
        _RULE <= set(rule) <= _RULE | {"region", "asks", "refusable_by", "max_age", "max_yes_age", "scrub"}
        and _names(rule["data"], CATEGORIES)
        and _names(rule["purpose"], PURPOSES)
        and rule["basis"] in ("contract", "consent", "never")
        and all(set(words) <= _WORDS and len(set(words)) == len(words) for words in (asked, refused))
        and ("asks" in rule) == (rule["basis"] == "consent") == bool(asked)
        and ("refusable_by" in rule) == bool(refused)
        and not (refused and rule["basis"] == "never")
        and len(set(texts(places))) == len(places) > 0
        and all(one == "EEA" or re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", one) for one in places)
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


# ------------------------------------------------------------------------------------------------------------ keys.md

Column: TypeAlias = tuple[str, str, bool]  # name, kind, whether a list
KEYS: list[Column] = [
    ("record_id", "text", False),
    ("account", "text", False),
    ("people", "text", True),
    ("category", "text", False),
    ("collected_us", "int64", False),
    ("conversation", "text", False),
]
COLLECTED: list[Column] = [
    ("entry", "int64", False),
    ("people_key", "bytes", False),
    ("rows", "int32", True),
    ("indexes", "int32", True),
    ("salts", "bytes", False),
    ("leaves", "bytes", False),
]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _thrift_list(data: bytes, at: int) -> tuple[list[Any], int]:
    size, inner, at = data[at] >> 4, data[at] & 15, at + 1
    if size == 15:
        size, at = _varint(data, at)
    found = []
    for _ in range(size):
        value, at = _thrift_value(data, at, inner)
        found.append(value)
    return found, at


def _thrift_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false: in a list a byte of its own
        return data[at] == 1, at + 1
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):  # zigzag
        value, at = _varint(data, at)
        return value >> 1 ^ -(value & 1), at
    if kind == 7:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == 8:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    if kind in (9, 10):
        return _thrift_list(data, at)
    if kind == 12:
        return _thrift_struct(data, at)
    raise ValueError(f"thrift type {kind}")


def _thrift_struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    found: dict[int, Any] = {}
    number = 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _thrift_value(data, at, 4)
        if kind in (1, 2):
            found[number] = kind == 1
        else:
            found[number], at = _thrift_value(data, at, kind)
    return found, at + 1


def _hybrid(data: bytes, at: int, end: int, bits: int, count: int) -> list[int]:
    """`count` numbers of the RLE and bit-packing hybrid."""
    found: list[int] = []
    width = (bits + 7) // 8
    while len(found) < count and at < end:
        head, at = _varint(data, at)
        if head & 1:
            for _ in range(min(head >> 1, count)):  # eight numbers at a time, the first one in the lowest bits
                packed, at = int.from_bytes(data[at : at + bits], "little"), at + bits
                found += [packed >> bits * place & (1 << bits) - 1 for place in range(8)]
        else:
            found += [int.from_bytes(data[at : at + width], "little")] * min(head >> 1, count)
            at += width
    if len(found) < count:
        raise ValueError("a page is too short")
    return found[:count]


def _plain(data: bytes, at: int, count: int, kind: str) -> list[Any]:
    found: list[Any] = []
    if not 0 <= count <= len(data):
        raise ValueError("a page has more values than bytes")
    for _ in range(count):
        if kind in ("text", "bytes"):
            start = at + 4
            at = start + int.from_bytes(data[at:start], "little")
            found.append(data[start:at].decode() if kind == "text" else data[start:at])
        else:
            start, at = at, at + (8 if kind == "int64" else 4)
            found.append(int.from_bytes(data[start:at], "little", signed=True))
    return found


def _read_page(
    data: bytes, at: int, page: dict[int, Any], kind: str, words: list[Any], *, is_list: bool
) -> Iterator[tuple[int, int, Any]]:
    largest, end = 3 if is_list else 1, at + page[2]
    count, encoding = page[5][1], page[5][2]
    levels = [[0] * min(count, 8 * len(data) * 1024)]
    for bits in ([1] if is_list else []) + [2 if is_list else 1]:
        size = int.from_bytes(data[at : at + 4], "little")
        levels.append(_hybrid(data, at + 4, at + 4 + size, bits, count))
        at += 4 + size
    there = sum(one == largest for one in levels[-1])
    if encoding == 0:
        values = iter(_plain(data, at, there, kind))
    elif encoding in (2, 8):
        values = iter([words[place] for place in _hybrid(data, at + 1, end, data[at], there)])
    else:
        raise ValueError(f"encoding {encoding} is not of the plain profile: it cannot be read here")
    for repeated, defined in zip(levels[-2], levels[-1], strict=True):
        yield repeated, defined, next(values) if defined == largest else None


def _read_column(data: bytes, column: dict[int, Any], kind: str, *, is_list: bool) -> Iterator[tuple[int, int, Any]]:
    """Yield (repetition level, definition level, value or None) for each value of a column of a row group."""
    about = column[3]
    if about[4] != 0:
        raise ValueError("the file is compressed, not of the plain profile: it cannot be read here")
    words: list[Any] = []
    at, done = about.get(11, about[9]), 0
    while done < about[5]:
        page, at = _thrift_struct(data, at)
        if page[2] < 0 or page.get(5, {1: 1})[1] < 0:
            raise ValueError("a page has less than nothing")
        if page[1] == 2:
            words = _plain(data, at, page[7][1], kind)
        elif page[1] == 0:
            yield from _read_page(data, at, page, kind, words, is_list=is_list)
            done += page[5][1]
        at += page[2]


def read_table(data: bytes, expected: list[Column]) -> list[Object]:
    """The rows of a Parquet file of the plain profile, as {column: value}."""
    if data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise ValueError("this is no Parquet")
    size = int.from_bytes(data[-8:-4], "little")
    footer, _ = _thrift_struct(data, max(0, len(data) - 8 - size))
    wanted = [part for name, _, is_list in expected for part in ([name, "list", "element"] if is_list else [name])]
    if [one[4].decode() for one in footer[2]][1:] != wanted:
        raise ValueError("the file has other columns")
    rows: list[Object] = []
    for group in footer[4]:
        columns: dict[str, list[Any]] = {}
        for column, (name, kind, is_list) in zip(group[1], expected, strict=True):
            columns[name] = found = []
            for repeated, defined, value in _read_column(data, column, kind, is_list=is_list):
                if not is_list:
                    found.append(value)
                elif defined in (0, 2):
                    raise ValueError("a list lacks a value")
                elif repeated == 0:
                    found.append([] if defined == 1 else [value])
                else:
                    found[-1].append(value)
        if any(len(found) != group[3] for found in columns.values()):
            raise ValueError("the columns are not of one length")
        rows += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if len(rows) != footer[3]:
        raise ValueError("rows are missing")
    return rows


def read_keys(data: bytes) -> list[Object]:
    """The rows of a `keys.parquet`; of the first versions without conversations."""
    try:
        rows = read_table(data, KEYS)
    except ValueError as error:
        if "other columns" not in str(error):
            raise
        rows = [{**row, "conversation": None} for row in read_table(data, KEYS[:-1])]
    if any(row[name] is None for row in rows for name, _, _ in KEYS[:-1]):
        raise ValueError("a row lacks a value")
    if any(one != "unknown" and not is_hex(one, 16) for row in rows for one in row["people"]):
        raise ValueError("a row names somebody by no pseudonym")
    return rows


# --------------------------------------------------------------------------------------------------------- release.md


def card_markdown(card: Object) -> str:
    """`card.md` as it follows from the card."""
    learned = card["learned_from"]
    lines = [
        f"# {card['model']}\n",
        f"A `{card['family']}` model, released {card['released']}, for `{card['purpose']}` and nothing else.\n",
        f"## What it learned from\n\nSnapshot `{learned['snapshot']}`, frozen at {learned['at']}.",
        f"{learned['people']} people in {len(learned['accounts'])} accounts, each with the yes that the terms ask for.\n",
        "| category | read | kept | dropped, by reason |\n|---|---:|---:|---|",
    ]
    for category, rows in learned["rows"].items():
        dropped = ", ".join(f"{reason}: {total}" for reason, total in rows["dropped"].items()) or "none"
        lines.append(f"| {category} | {rows['read']} | {rows['kept']} | {dropped} |")
    lines += ["", *_privacy(card["base"], card["privacy"]), *_measured(card["findings"])]
    lines.append("## What to know before using it\n")
    if card["override"] is not None:
        lines.append(f"- **Released beyond its bounds by {card['override']['by']}**, because: {card['override']['why']}")
        lines += [f"  - {reason}" for reason in card["override"]["missed"]]
    without = sorted({f"{one['audit']} ({one['metric']})" for one in card["findings"] if one["value"] is None})
    if without:
        lines.append(f"- Not measured: {', '.join(without)}.")
    lines += [
        "- What this card does not name was not measured.",
        "- When somebody it learned from says no, it must forget them by the due date that `volition owed` shows.\n",
        f"## Evidence\n\n- model digest `{card['digest']}`\n- manifest digest `{learned['manifest']}`",
        f"- terms: {', '.join(card['terms']) or 'none'}",
        "- `attestation.json` beside this card is signed (DSSE, in-toto Statement v1); `volition prove` bundles all.",
    ]
    lines.append("- `model.sig` signs the model's files (OpenSSF model signing) with the key in `model.pub`, which is:\n")
    lines += [f"      {line}" for line in card["signing_key"].splitlines()]
    return "\n".join([*lines, ""])


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _measured(findings: list[Object]) -> list[str]:
    lines = [
        "## What was measured\n",
        "| audit | measure | value | 95 % interval | bound | verdict | units |",
        "|---|---|---:|---|---:|---|---:|",
    ]
    for one in findings:
        about = (_figure(one["value"]), _interval(one["low"], one["high"]), _figure(one["bound"]))
        cells = (one["audit"], one["metric"], *about, one["verdict"], one["units"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append("")
    for one in findings:
        if one["audit"] == "benefit" and one["value"] is not None:
            both = one["detail"]
            lines.append(f"- benefit: {both['trained']:.3f} with training, {both['untrained']:.3f} without. {one['how']}")
        else:
            lines.append(f"- {one['audit']}, {one['metric']}: {one['how']}")
        for name, of in one["detail"].get("groups", {}).items():
            people = "" if of["people"] is None else f" of {of['people']} people"
            lines.append(f"  - {name}: {_figure(of['value'])} ({_interval(of['low'], of['high'])}), {of['units']} units{people}")
    return [*lines, ""]


def _privacy(base: Object | None, claimed: Object | None) -> list[str]:
    if base is None:
        return []
    lines = [
        "## How it was trained\n",
        f"An update of the base model {base['name']}, which is frozen; its digest is `{base['digest']}`.\n",
    ]
    if claimed is None:
        return [*lines, "It was **not** trained with differential privacy: what it keeps of one person is measured, not bounded.\n"]
    items = {
        "epsilon, delta": f"{claimed['epsilon']:.3f} at {claimed['delta']:g}",
        "unit of privacy": claimed["unit"],
        "neighbouring data": claimed["neighbours"],
        "mechanism": claimed["mechanism"],
        "sampling": f"{claimed['sampling']}, with probability {claimed['rate']:g}",
        "noise multiplier": f"{claimed['multiplier']:g}",
        "clipping norm": f"{claimed['clipping']:g}",
        "steps": claimed["steps"],
        "accountant": claimed["accountant"],
        "composition": claimed["composition"],
        "who sees what": claimed["seen_by"],
    }
    return [
        *lines,
        "Differential privacy, in the items that NIST SP 800-226 asks for; no conformance to it is claimed.\n",
        "| item | |\n|---|---|",
        *(f"| {item} | {value} |" for item, value in items.items()),
        "\nNot covered:\n",
        *(f"- {what}" for what in claimed["not_covered"]),
        "",
    ]


THRESHOLDS = 200


def least_epsilon(multiplier: float, rate: float, steps: int, delta: float) -> float:
    """What no accountant can claim less than, for these figures."""

    def above(deviations: float) -> float:
        return math.erfc(deviations / math.sqrt(2)) / 2

    def drawn(count: int) -> float:
        if rate == 1:
            return float(count == steps)
        chosen = math.lgamma(steps + 1) - math.lgamma(count + 1) - math.lgamma(steps - count + 1)
        return math.exp(chosen + count * math.log(rate) + (steps - count) * math.log1p(-rate))

    deviation, mean = multiplier * math.sqrt(steps), rate * steps
    reach = 8 * math.sqrt(mean * (1 - rate)) + 1
    counts = range(max(0, math.floor(mean - reach)), min(steps, math.ceil(mean + reach)) + 1)
    least, top = 0.0, mean + reach + 6 * deviation
    for place in range(THRESHOLDS + 1):
        threshold = top * place / THRESHOLDS
        mistaken = above(threshold / deviation)
        found = sum(drawn(count) * above((threshold - count) / deviation) for count in counts)
        if mistaken > 0 and found > delta:
            least = max(least, math.log((found - delta) / mistaken))
    return least


# --------------------------------------------------------------------------------------------------------- receipt.md

CONTEXT = {
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "volition": "urn:volition:",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_PROFILE = "https://w3id.org/dpv/schema/dpv-27560#"
_BROADER = {
    "train": "dpv:ImproveExistingProductsAndServices",
    "feature": "dpv:ServicePersonalisation",
    "feature/recommend": "dpv:ProvidePersonalisedRecommendations",
    "advertising": "dpv:Advertising",
}
_VIA = {
    "page": "AI settings page of the privacy centre",
    "api": "HTTP API, by a program of the operator's or the account's",
    "command-line": "command line, by the operator",
}


def _time(moment: str) -> Object:
    return {"@type": "xsd:dateTime", "@value": moment}


def _purpose(name: str) -> Object:
    found: Object = {"@id": f"urn:volition:purpose:{name}", "@type": "dpv:Purpose", "dct:title": name}
    if name in _BROADER or name.split("/")[0] in _BROADER:
        found["skos:broader"] = {"@id": _BROADER.get(name) or _BROADER[name.split("/")[0]]}
    if name.startswith("train"):
        found["dpv:hasProcessing"] = {"@id": "ai:ModelTraining"}
    return found


def _data(name: str) -> Object:
    found: Object = {"@id": f"urn:volition:category:{name}", "@type": "dpv:PersonalData", "dct:title": name}
    if name.startswith("content"):
        found["skos:broader"] = {"@id": "pd:Communication"}
    return found


def _process(purposes: list[str], data: list[str]) -> Object:
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": [_purpose(name) for name in purposes],
        "dpv:hasPersonalData": [_data(name) for name in data],
    }


def early_record(answer: Object, line: bytes, terms: Object | None, origin: str) -> Object:
    """The consent record of `volition/receipt/1`."""
    said, signal = answer["body"], answer["kind"] == "signal"
    subject, controller = {"@id": f"urn:volition:{said['party']}"}, {"@id": f"urn:volition:operator:{origin}"}
    status = "dpv:ConsentRefused" if signal or said["answer"] == "no" else "dpv:ConsentGiven"
    until = said.get("until")
    lasts: Object = {"@type": "dpv:UntilEventDuration", "rdf:value": "another answer"}
    if until is not None:
        lasts = {"@type": "dpv:UntilTimeDuration", "rdf:value": _time(until)}
    record: Object = {
        "@context": CONTEXT,
        "@id": f"urn:volition:{digest_of(line)}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": f"{_PROFILE}record"},
        "dct:identifier": f"{origin}/{answer['seq']}",
        "dpv:hasDataSubject": {**subject, "@type": "dpv:DataSubject", "dpv:hasIdentifier": said["party"]},
        "dpv:hasDataController": {
            **controller,
            "@type": "dpv:DataController",
            "dpv:hasName": origin,
            "dpv:hasIdentifier": origin,
        },
        "dpv:hasRecipient": controller,
        "dpv:hasConsentStatus": {
            "@type": [status, "dpv:ExpressedConsent"],
            "dpv:isIndicatedBy": subject,
            "dpv:hasIndicationMethod": said["signal"] if signal else "AI settings",
            "dpv:isIndicatedAtTime": _time(answer["at"]),
            "dpv:hasDuration": lasts,
        },
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": {"@id": "/settings"}},
    }
    if not signal:
        record["dct:temporal"] = "from then on" if said["covers"] is None else f"since {said['covers']}"
        record["dpv:hasProcess"] = _process(said["purpose"], said["data"])
    if terms is not None:
        document = terms["body"]["terms"]
        record["dpv:hasNotice"] = {
            "@id": f"urn:volition:terms:{document['id']}",
            "@type": "dpv:ConsentNotice",
            "dct:identifier": document["id"],
            "dct:title": document["title"],
            "dct:issued": _time(terms["at"]),
            "volition:digest": digest_of(canonical(document)),
        }
    return record


def _location(region: str) -> Object:
    return {"@id": f"urn:volition:region:{region}", "@type": "dpv:Location", "dct:identifier": region}


def later_record(answer: Object, line: bytes, terms: Object | None, origin: str, region: str | None, controller: Object) -> Object:  # noqa: PLR0913, PLR0917 - what a record follows from
    """The consent record of `volition/receipt/2`."""
    record = early_record(answer, line, terms, origin)
    said, signal = answer["body"], answer["kind"] == "signal"
    record["@context"] = {**CONTEXT, "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#"}
    owner = record["dpv:hasDataController"]
    owner |= {
        f"dpv:has{key.capitalize()}": controller[key] for key in ("name", "contact", "address") if key in controller
    }
    where = {"@id": controller.get("url", "/settings")}
    record["dpv:hasConsentControl"]["dpv:isExercisedAt"] = where
    rights = ["dpv:DataSubjectRight", *(f"eu-gdpr:{article}" for article in ("A7-3", "A15", "A17", "A20", "A21"))]
    record["dpv:hasRight"] = {"@type": rights, "dpv:isExercisedAt": where}
    if "jurisdiction" in controller:
        record["dpv:hasJurisdiction"] = _location(controller["jurisdiction"])
    if region is not None:
        record["dpv:hasDataSubject"]["dpv:hasLocation"] = _location(region)
    if "language" in controller and terms is not None:
        record["dpv:hasNotice"]["dct:language"] = controller["language"]
    if not signal:
        record["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"] = _VIA.get(said.get("via"), "not recorded")
    version = None if terms is None else terms["body"]["terms"]
    refused = [one for one in PURPOSES if version and said.get("signal") in signals_for(version, one)] if signal else []
    if refused:
        record["dpv:hasProcess"] = _process(refused, ["content", "service"])
    if "dpv:hasProcess" in record:
        record["dpv:hasProcess"]["dpv:hasRecipient"] = record["dpv:hasRecipient"]
        if version is not None:
            categories = CATEGORIES if signal else [one for one in CATEGORIES if one in leaves(said["data"], CATEGORIES)]
            purposes = refused if signal else [one for one in PURPOSES if one in leaves(said["purpose"], PURPOSES)]
            rules = [rule_of(version, data, purpose, region) for data in categories for purpose in purposes]
            record["dpv:hasProcess"] |= _governed([rule for rule in rules if rule is not None])
    return record


def _governed(rules: list[Object]) -> Object:
    """What the rules of an answer say of its legal basis, and of how long records are kept."""
    names = {"consent": "dpv:ExpressedConsent", "contract": "dpv:Contract"}
    basis = sorted({names[rule["basis"]] for rule in rules if rule["basis"] in names})
    ages = [one for rule in rules if (one := age(rule, "max_age")) is not None]
    lasts: Object = {"@type": "dpv:UntilEventDuration", "rdf:value": "erasure, or an answer that ends the use"}
    if ages:
        days, rest = divmod(min(ages), DAY)
        duration = f"PT{min(ages) // 1_000_000}S" if rest else f"P{days}D"
        lasts = {"@type": "dpv:TemporalDuration", "rdf:value": {"@type": "xsd:duration", "@value": duration}}
    found: Object = {"dpv:hasStorageCondition": {"@type": "dpv:StorageDuration", "dpv:hasDuration": lasts}}
    return {"dpv:hasLegalBasis": [{"@id": one} for one in basis], **found} if basis else found


def receipt_form(record: Object, answer: Object) -> Object:
    """The profile's receipt form, which refers to the record."""
    return {
        "@context": {key: CONTEXT[key] for key in ("dct", "dpv", "xsd")},
        "@id": f"urn:volition:receipt:{digest_of(canonical(record))}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": {"@id": f"{_PROFILE}receipt"},
        "dpv:hasIdentifier": record["dct:identifier"],
        "dct:created": _time(answer["at"]),
        "dpv:hasRecordOfActivity": {"@id": record["@id"]},
    }
