"""The replay: from entries to "may this row be used?" (docs/formats/permits.md)."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from volition_formats.spellings import Json, Object, any_instant, text, texts, words

CATEGORIES = words(
    "service/usage service/telemetry service/diagnostics content/audio content/video content/chat"
    " content/transcript content/files"
)


PURPOSES = words(
    "train/search train/recommend train/summary train/compose train/diagnose train/speech feature/search"
    " feature/recommend feature/summary feature/compose feature/diagnose feature/transcribe advertising tracking"
)


EEA = set(words("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"))


COUNTRIES = EEA | set(
    words(
        "AD AE AF AG AI AL AM AO AQ AR AS AU AW AX AZ BA BB BD BF BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY"
        " BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX DJ DM DO DZ EC EG EH ER ET FJ FK FM FO GA GB"
        " GD GE GF GG GH GI GL GM GN GP GQ GS GT GU GW GY HK HM HN HT ID IL IM IN IO IQ IR JE JM JO JP KE KG"
        " KH KI KM KN KP KR KW KY KZ LA LB LC LK LR LS LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MU"
        " MV MW MX MY MZ NA NC NE NF NG NI NP NR NU NZ OM PA PE PF PG PH PK PM PN PR PS PW PY QA RE RS RU RW"
        " SA SB SC SD SG SH SJ SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW"
        " TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
    )
)


DAY, WRITING = 86_400_000_000, 60_000_000


BEGINNING = -(2**62)  # before every record


Step: TypeAlias = tuple[int, int, bool, Object]  # from when on, order of publication, by acceptance, version


Permit: TypeAlias = tuple[str | None, int, int | None]  # why not, since when, how old a record may be


def covers(name: str, leaf: str) -> bool:
    """Whether a name is the leaf, or stands above it."""
    return leaf == name or leaf.startswith(name + "/")


def is_region(text: str) -> bool:
    """Whether that is a country of ISO 3166-1, or a part of one."""
    return re.fullmatch("[A-Z]{2}(-[A-Z0-9]{1,3})?", text) is not None and text[:2] in COUNTRIES


def leaves(names: Json, universe: list[str]) -> set[str]:
    """What a list of names covers; a name that covers nothing is an error."""
    for name in texts(names):
        if not any(covers(name, leaf) for leaf in universe):
            raise ValueError(f"{name!r} covers nothing")
    return {leaf for leaf in universe if any(covers(name, leaf) for name in names)}


def nameable(version: Object, kind: str) -> list[str]:
    """The leaves that the rules of a version can name: of the kind "category", or "purpose"."""
    own = [one["name"] for one in version.get(kind, [])]
    single = [name for name in own if not any(other.startswith(name + "/") for other in own)]
    return (CATEGORIES if kind == "category" else PURPOSES) + single


def widened(said: set[str], before: list[str], after: list[str]) -> set[str]:
    """What a no reaches, of all leaves after a version was read, where it reached `said` of those before."""
    roots = {leaf.partition("/")[0] for leaf in before}
    whole = roots - {leaf.partition("/")[0] for leaf in before if leaf not in said}
    new = set(after) - set(before)
    return said | {leaf for leaf in new if leaf.partition("/")[0] in whole or said >= set(before)}


def as_list(words: str | list[str]) -> list[str]:
    """One text is a list of one."""
    return [words] if isinstance(words, str) else words


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
        self.categories, self.purposes = CATEGORIES, PURPOSES  # known so far
        self.content = {one for one in CATEGORIES if covers("content", one)}
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
            self._declare(version)

    def _declare(self, version: Object) -> None:
        """What a version declares is known from now on, and each no reaches what is new."""
        categories = list(dict.fromkeys(self.categories + nameable(version, "category")))
        purposes = list(dict.fromkeys(self.purposes + nameable(version, "purpose")))
        noes = [one for said in self.decisions.values() for one in said if not one["yes"]]
        limits = {id(one): one for said in self.limits.values() for one in said}.values()
        for one in (*noes, *limits, *self.exclusions):
            one["purpose"] = widened(one["purpose"], self.purposes, purposes)
            if "data" in one:
                one["data"] = widened(one["data"], self.categories, categories)
        self.categories, self.purposes = categories, purposes
        self.content |= {one["name"] for one in version.get("category", []) if one["content"]} & set(categories)

    def _read_acceptance(self, body: Object, at: int) -> None:
        if body["terms"] not in self.published:
            raise ValueError("terms that were never published are accepted")
        self.accepted.setdefault(text(body["account"]), []).append((at, body["terms"]))

    def _read_decision(self, body: Object, at: int) -> None:
        back, yes = body["covers"], text(body["answer"]) == "yes"
        until = any_instant(body["until"]) if "until" in body else None
        given = any_instant(body["claim"]["said"]) if "claim" in body else at
        if "claim" in body and (not 0 <= given <= at or back is not None):
            raise ValueError("an imported answer was said in the future, long ago, or reaches back")
        said = {
            "yes": yes,
            "data": leaves(body["data"], self.categories),
            "purpose": leaves(body["purpose"], self.purposes),
            "at": given,
            "recorded": at,
            "covers": None if back is None else BEGINNING if back == "past" else any_instant(back),
            "until": until if yes else None,
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
        if not is_region(text(body["region"])):
            raise ValueError(f"{body['region']!r} is no region")
        self.regions.setdefault(text(body["party"]), []).append((at, body["region"]))

    def _read_limit(self, body: Object, at: int) -> None:
        account, name, people, limited = (
            text(body["account"]),
            text(body["group"]),
            texts(body["people"]),
            body["limited"],
        )
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
            "data": leaves(body["data"], self.categories),
            "purpose": leaves(body["purpose"], self.purposes),
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
                "purpose": leaves(body["purpose"], self.purposes),
                "excluded": body["excluded"],
                "by": text(body.get("namesake", body["party"])),
            }
        )

    def _read_sharing(self, body: Object, _: int) -> None:
        """It bears on who may read, never on permission; that it can be read is all that is asked."""
        for key in ("account", "conversation", "source", "by"):
            text(body[key])
        if type(body["shared"]) is not bool:
            raise TypeError("a conversation is opened or closed")
        texts(body["with"])

    def _read_erasure(self, body: Object, at: int) -> None:
        self.erased.setdefault(text(body["party"]), at)


def matches(rule: Object, region: str | None) -> bool:
    """Whether a rule is for that region (permits.md, 2)."""
    places = as_list(rule.get("region", []))
    return not places or (
        region is not None and (region in places or region[:2] in places or ("EEA" in places and region[:2] in EEA))
    )


def rule_of(version: Object, category: str, purpose: str, region: str | None) -> Object | None:
    """The most specific rule that applies."""
    best, rank = None, None
    if category not in nameable(version, "category") or purpose not in nameable(version, "purpose"):
        return None
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
    named = {place for one in versions if one for rule in one["rule"] for place in as_list(rule.get("region", []))}
    found: dict[tuple[bool, ...], str | None] = {}
    for place in [None, *sorted(named - {"EEA"} | (EEA if "EEA" in named else set()))]:
        found.setdefault(tuple(matches(rule, place) for one in versions if one for rule in one["rule"]), place)
    return list(found.values())


def newly_allows(old: Object | None, new: Object) -> bool:
    """Whether a version allows anything that an older one did not (permits.md, 3)."""
    if old is not None and new.get("notice_days", 30) < old.get("notice_days", 30):
        return True
    return any(
        loosens(old, new, category, purpose, place)
        for place in places_of(old, new)
        for category in {leaf for one in (old, new) if one for leaf in nameable(one, "category")}
        for purpose in {leaf for one in (old, new) if one for leaf in nameable(one, "purpose")}
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
        key = ("rule", now[-1]["id"], category, purpose, place)
        found: Object | None = h.once(key, lambda: rule_of(now[-1], category, purpose, place))
        return found

    return now[-1], [rule(place) for place in where]


def answers(h: History, use: Object, asked: int) -> tuple[list[Object], list[tuple[int, str]]]:
    """The decisions and signals of a party that bear on a use, as far as they were recorded when it is asked."""
    own = use["role"] == "alternate"
    said = [
        one
        for one in h.decisions.get(use["party"], [])
        if one["recorded"] <= asked
        and not (own and one["copy"])
        and use["category"] in one["data"]
        and use["purpose"] in one["purpose"]
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
    return answered(h, use, (at, asked), version, [rule for rule in rules if say(rule, use["role"]) == 2])


def answered(
    h: History, use: Object, when: tuple[int, int], version: Object, asking: list[Object | None]
) -> str | None:
    """None if what the party said allows the use at an instant, asked at another; `asking` rules ask for its yes."""
    at, asked = when
    said, signals = answers(h, use, asked)
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
    said, signals = answers(h, use, at)
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
    said, _ = answers(h, use, at)
    back = [one["covers"] for one in said if one["yes"] and one["covers"] is not None and since <= one["at"] <= at]
    return None, min([since, *back]), age(rules_at(h, use, at, at)[1][0], "max_age")


def left_out(h: History, record: Object, purpose: str, at: int) -> str | None:
    """For whom a record's conversation is left out (permits.md, 6)."""
    of_account = [one for one in h.exclusions if one["account"] == record["account"]]
    where = record["conversation"]
    could_be = {
        one["conversation"]
        for one in of_account
        if one["conversation"] == where or (where is None and record["category"] in h.content)
    }
    for party in (f"account:{record['account']}", *record["people"]):
        standing: dict[tuple[str, str], bool] = {}
        for one in of_account:
            of_use = one["conversation"] in could_be and one["party"] == party and purpose in one["purpose"]
            if of_use and one["at"] <= at:
                standing[one["conversation"], one["by"]] = one["excluded"]
        if where != "" and any(standing.values()):
            return str(party)
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
    if record["category"] not in h.categories or purpose not in h.purposes:
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
