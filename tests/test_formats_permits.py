"""The permits as `docs/formats/permits.md` defines them: its code, run, gives the answers of the software."""

import random
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from volition.canonical import canonical_json, text_to_us, us_to_text
from volition.consent.gate import Record, decide, uses
from volition.consent.history import BEGINNING_US, check_publications, read_history
from volition.consent.permits import REASON_CODES, Panel, PartyRole, Permit, Permits, Refusal, permit
from volition.consent.terms.model import CATEGORIES, PURPOSES, Basis, Rule, Terms
from volition.consent.terms.toml_file import FaultError
from volition.consent.terms.vocabulary import BUILT_IN, Category, Purpose
from volition.errors import ProofError
from volition.ledger.entry import Entry

PAGE = Path(__file__).parent.parent / "docs" / "formats" / "permits.md"
DAY_US, SECOND_US = 86_400_000_000, 1_000_000
START_US = 20_000 * DAY_US
PEOPLE = ("person:ada", "person:bob", "person:zoe", "person:unknown")
ACCOUNTS = ("acme", "other")
PARTIES = ("account:acme", "account:acme", "account:other", *PEOPLE[:3])
USED = ("content/chat", "service/usage", "content/notes", "crm/tickets", "crm/calls")
FOR = ("train/search", "feature/search", "train/churn")
DECLARED = (
    Category(name="content/notes", words="notes"),
    Category(name="crm/tickets", words="support tickets"),
    Category(name="crm/tickets", words="support tickets", content=False),
    Category(name="crm/calls", words="calls", content=False),
    Purpose(name="train/churn", title="Train churn prediction"),
)
NAMES = ("content", "content/chat", "service", "service/usage")
PURPOSE_NAMES = ("train", "train/search", "feature", "feature/search")
CONVERSATIONS = ("c1", "c2")


def page():
    """Return what the page's code defines."""
    found = {}
    code = "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    exec(compile(code, str(PAGE), "exec"), found)  # noqa: S102 - it is ours
    compared, newly_allows = {}, found["newly_allows"]

    def remembered(old, new):
        pair = (canonical_json(old), canonical_json(new))
        if pair not in compared:
            compared[pair] = newly_allows(old, new)
        return compared[pair]

    found["newly_allows"] = remembered
    return found


def some(draw, words, least=1, most=2):
    return tuple(draw.sample(words, draw.randint(least, most)))


def some_names(draw, names, known, least=1):
    """Return some names of those that are known: built in, or declared."""
    return some(draw, [*names, *known, *{one.partition("/")[0] for one in known}.difference(names)], least)


def a_rule(draw, categories=(), purposes=()):
    basis = draw.choice([Basis.CONSENT] * 4 + [Basis.CONTRACT] * 3 + [Basis.NEVER])
    consent = basis is Basis.CONSENT
    return Rule(
        data=some_names(draw, NAMES, categories),
        purpose=some_names(draw, PURPOSE_NAMES, purposes),
        region=some(draw, ("EEA", "DE", "US", "US-CA")) if draw.random() < 0.3 else (),
        basis=basis,
        asks=some(draw, ("account", "person", "everyone")) if consent else (),
        refusable_by=() if basis is Basis.NEVER else some(draw, ("account", "person", "everyone"), 0),
        max_age_us=draw.choice([None, None, DAY_US, 3 * DAY_US, 9 * DAY_US]),
        max_yes_age_us=draw.choice([None, 2 * DAY_US, 5 * DAY_US]) if consent else None,
        scrub=draw.random() < 0.8,
    )


def a_version(draw, name):
    declared = {one.name: one for one in draw.sample(DECLARED, draw.choice([0, 0, 2, 4]))}.values()
    own = tuple(tuple(one for one in declared if isinstance(one, kind)) for kind in (Category, Purpose))
    names = [[one.name for one in found] for found in own]
    while True:
        rules = [a_rule(draw, *names) for _ in range(draw.randint(1, 4))]
        roots = dict.fromkeys(["content", "service", *(one.partition("/")[0] for one in names[0])])
        rules.append(Rule(data=tuple(roots), purpose=("train", "feature"), basis=Basis.CONTRACT))
        while rules:
            try:
                return Terms(
                    id=name,
                    title=name,
                    effective_us=START_US + draw.randint(-4, 4) * DAY_US,
                    acceptance=draw.choice(["continued-use", "continued-use", "explicit"]),
                    text="prose",
                    notice_days=draw.choice([0, 0, 1, 3]),
                    rules=tuple(rules),
                    signals={"gpc": some_names(draw, PURPOSE_NAMES, names[1])} if draw.random() < 0.5 else {},
                    categories=own[0],
                    purposes=own[1],
                )
            except FaultError as error:
                del rules[error.path[1]]


def an_answer(draw, at_us, known):
    covers = draw.choice([None, None, "past", us_to_text(at_us - draw.randint(0, 4) * DAY_US)])
    body = {
        "party": draw.choice(PARTIES),
        "answer": draw.choice(["yes", "yes", "no"]),
        **said_of(draw, known),
    }
    body["covers"] = covers if body["answer"] == "yes" else None
    if body["answer"] == "yes" and draw.random() < 0.3:
        body["until"] = us_to_text(at_us + draw.randint(0, 4) * DAY_US)
    if body["covers"] is None and draw.random() < 0.3:
        said = us_to_text(at_us - draw.randint(0, 4) * DAY_US)
        body["claim"] = {"said": said, "by": "operator", "source": "crm"}
    return copied(draw, body)


def said_of(draw, known):
    """Return what something is said of; now and then all that there is, by its roots or one by one."""
    if draw.random() < 0.2:
        return {"data": sorted(known.all_data), "purpose": sorted(draw.choice([known.all_uses, known.purposes]))}
    own = ([one for one in known.categories if one in USED], [one for one in known.purposes if one in FOR])
    return {
        "data": sorted(set(some_names(draw, NAMES, own[0]))),
        "purpose": sorted(set(some_names(draw, PURPOSE_NAMES, own[1]))),
    }


def copied(draw, body):
    if body["party"].startswith("person:") and draw.random() < 0.3:
        body["namesake"] = draw.choice([one for one in PEOPLE[:3] if one != body["party"]])
    return body


def a_limit(draw, groups, known):
    account, group = draw.choice(ACCOUNTS), draw.choice(["", "g", "h"])
    limited = draw.random() < 0.6 or (account, group) not in groups
    groups.add((account, group))
    people = list(some(draw, PEOPLE[:3])) if group and (limited or draw.random() < 0.5) else []
    about = said_of(draw, known)
    return {"account": account, "group": group, "people": people, "limited": limited, **about}


def an_entry(draw, at_us, versions, groups, known):
    kind = draw.choice(
        ["decision"] * 14
        + ["signal", "signal", "region", "region", "limit", "limit", "exclusion", "exclusion"]
        + ["acceptance", "acceptance", "terms", "terms", "erasure"]
    )
    if kind == "terms":
        made = a_version(draw, draw.choice([f"v{len(versions)}"] * 9 + ["v0"]))
        if made.id not in versions:
            known[:] = [known[0].joined([*made.categories, *made.purposes])]
        versions.append(made.id)
        binds_us = max(made.effective_us, at_us) + draw.randint(-1, 3) * draw.choice([DAY_US, 20 * SECOND_US])
        return kind, {"terms": made.to_json(), "binds": us_to_text(binds_us)}
    if kind == "acceptance":
        return kind, {"account": draw.choice(("acme", "acme", "other")), "terms": draw.choice(versions)}
    if kind == "decision":
        return kind, an_answer(draw, at_us, known[0])
    if kind == "signal":
        return kind, copied(draw, {"party": draw.choice(PEOPLE[:3]), "signal": "gpc"})
    if kind == "region":
        return kind, {"party": draw.choice(PARTIES), "region": draw.choice(["DE", "US", "US-CA", "US-TX", "JP"])}
    if kind == "limit":
        return kind, a_limit(draw, groups, known[0])
    if kind == "exclusion":
        party = draw.choice(["account:acme", *PEOPLE[:3]])
        about = {"account": "acme", "conversation": draw.choice(CONVERSATIONS), "party": party}
        said = {"purpose": said_of(draw, known[0])["purpose"], "excluded": draw.random() < 0.6}
        return kind, copied(draw, {**about, **said})
    return kind, {"party": draw.choice(PEOPLE[:3] if draw.random() < 0.9 else ["account:acme"])}


def a_log(draw):
    """Return entries in which times never run backwards, many at one instant, most of them days apart."""
    versions, groups, known, at_us = ["v0"], set(), [BUILT_IN], START_US
    first = a_version(draw, "v0")
    known[0] = known[0].joined([*first.categories, *first.purposes])
    drafts = [(at_us, "terms", {"terms": first.to_json(), "binds": us_to_text(max(at_us, first.effective_us))})]
    for _ in range(draw.randint(4, 18)):
        at_us += draw.choice([0, 0, 20 * SECOND_US, DAY_US // 2, DAY_US, 2 * DAY_US])
        if len(drafts) < 3 and draw.random() < 0.9:
            account = ACCOUNTS[len(drafts) - 1]
            drafts.append((at_us, "acceptance", {"account": account, "terms": "v0"}))
        else:
            drafts.append((at_us, *an_entry(draw, at_us, versions, groups, known)))
    return [Entry(seq=seq, at_us=at, kind=kind, body=body) for seq, (at, kind, body) in enumerate(drafts)]


def a_record(draw, at_us):
    collected_us = at_us - draw.choice([0, 1, DAY_US // 2, DAY_US, 3 * DAY_US, 8 * DAY_US, 40 * DAY_US])
    return Record(
        account=draw.choice(("acme", "acme", "acme", "other")),
        people=tuple(draw.sample(PEOPLE if draw.random() < 0.2 else PEOPLE[:3], draw.choice([0, 1, 1, 2, 2, 3]))),
        category=draw.choice(USED),
        collected_us=collected_us,
        conversation=draw.choice([None, "", *CONVERSATIONS]),
    )


def asked_of_page(record):
    return {
        "account": record.account,
        "people": list(record.people),
        "category": record.category,
        "collected": record.collected_us,
        "conversation": record.conversation,
    }


def _columns_that_differ(permits):
    """Yield the people for whom the columns of the compiled form say something else than it says one by one."""
    for category, role in product(USED, (PartyRole.FIRST, PartyRole.OTHER)):
        table = Panel(permits, ["acme"], np.zeros(len(PEOPLE), np.int32), PEOPLE).of(role, category)
        for person, since_us, code in zip(PEOPLE, table.since_us.tolist(), table.reason.tolist(), strict=True):
            one = permits.of("acme", person, role, category)
            alone = REASON_CODES[one.reason] if isinstance(one, Refusal) else (0, one.since_us)
            if alone != (code or (0, since_us)):
                yield "columns", permits.purpose, category, person, one


def disagreements(says, seed):
    """Yield what page and software say differently of a log, at an instant, for some records."""
    draw = random.Random(seed)
    entries = a_log(draw)
    history, own = read_history(entries), says["History"]()
    faults = []
    for entry in entries:
        if entry.kind == "terms":
            faults.append(says["publication_fault"](own, entry.body, entry.at_us, text_to_us))
        says["read"](own, entry.kind, entry.body, entry.at_us, text_to_us)
    try:
        check_publications(entries)
        refused = False
    except ProofError:
        refused = True
    if refused != any(faults):
        yield "publications", refused, faults
    at_us = entries[-1].at_us + draw.choice([0, 0, 1, DAY_US, 3 * DAY_US])
    for purpose in FOR:
        permits = Permits(history, purpose=purpose, at_us=at_us)
        yield from _columns_that_differ(permits)
        for _ in range(8):
            record = a_record(draw, at_us)
            verdict = decide(permits, record)
            found = says["may"](own, asked_of_page(record), purpose, at_us, text_to_us)
            is_known = record.category in history.vocabulary.categories and purpose in history.vocabulary.purposes
            if (found is None) is not verdict.permitted or (
                is_known and found != (verdict.reason and verdict.reason.value)
            ):
                yield purpose, at_us, record, found, verdict.reason
            theirs = says["uses"](own, asked_of_page(record), purpose, at_us)
            ours = list(
                uses(history, record.account, record.people, record.category, purpose, at_us=at_us)
                if record.people
                else ()
            )
            for use, said in zip(ours, theirs if record.people else (), strict=True):
                answer = permit(history, use, at_us)
                expected = (
                    (None, answer.since_us, answer.max_age_us)
                    if isinstance(answer, Permit)
                    else (answer.reason.value, None, None)
                )
                if says["permit"](own, said, at_us, text_to_us) != expected:
                    yield use, expected, says["permit"](own, said, at_us, text_to_us)


@pytest.mark.parametrize("part", range(4))
def test_the_permits_of_the_page_are_those_of_the_software(part):
    says = page()
    assert says["CATEGORIES"] == list(CATEGORIES)
    assert says["PURPOSES"] == list(PURPOSES)
    assert says["BEGINNING"] == BEGINNING_US
    for seed in range(part * 20, part * 20 + 20):
        assert list(disagreements(says, seed)) == [], seed
