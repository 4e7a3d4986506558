"""The rivals of the gate: general policy engines and a consent package, each in its fastest form.

None of them knows when a yes was given and how far it reaches. So each is given, with every question, what the gate has
to find: from when until when a yes counts, and whether somebody objects. What is left is the question that policy
engines are used for: is this use, at this instant, within what is allowed?

For each we tried the forms that its interface offers, and kept the fastest one that answers correctly:

- Cedar: policies and facts parsed once, names as dictionaries, the instant as JSON text. Text policies, facts in the
  request, names as text and a parse of the facts at each question all cost more.
- Casbin: bare values, since a look into an object costs more, and a chained comparison; its own log turned off.
- Rego: compiled once to a bundle with an entry point, the question as a list. A query in words is compiled at each
  question, ten times slower; an object costs more than a list.
- effaced: its table in memory, with nothing in it but whom it is asked about, one session for all questions.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

from volition.consent.permits import NO_PERMIT_US

BATCH: Final = 100
"""Questions in a call where an interface takes several; of 10, 100, 1000 the fastest."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its facts already found.

    Attributes:
        person: The party.
        category: A leaf of `terms.CATEGORIES`.
        collected_us: When the record was collected, microseconds since the Unix epoch.
        from_us: From when on a yes of everybody concerned counts; `NO_PERMIT_US` where one was never asked for it.
        until_us: Until when (not included).
        objected: Whether somebody concerned said no, whatever was said before.
    """

    person: str
    category: str
    collected_us: int
    from_us: int
    until_us: int
    objected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A way to ask a rival.

    Attributes:
        package: The rival's package.
        name: The rival, and how it is asked.
        prepare: Makes what `ask` takes, before the clock starts: one for each question, or for each batch of them.
        ask: Asks; gives one answer, or a list of them.
        many: Whether it asks many at once.
        asks_the_date: Whether the date is part of what it judges; where it is not, that is added after the clock.
    """

    package: str
    name: str
    prepare: Callable[[Sequence[Question]], Sequence[Any]]
    ask: Callable[[Any], Any]
    many: bool = False
    asks_the_date: bool = True


def find_forms() -> tuple[list[Form], dict[str, str]]:
    """Return the forms of the rivals that are installed, and for each other one how to install it."""
    forms: list[Form] = []
    missing = {}
    for package, make in {"cedarpy": _cedar, "casbin": _casbin, "regopy": _rego, "effaced": _effaced}.items():
        try:
            forms += make()
        except ImportError as error:
            missing[package] = f"not installed ({error}): pip install {package}"
    return forms, missing


def versions(forms: Iterable[Form]) -> dict[str, str]:
    """Return the versions of the rivals' packages."""
    return {package: version(package) for package in sorted({form.package for form in forms})}


def _cedar() -> list[Form]:
    import cedarpy  # noqa: PLC0415 - may be missing, as all of these

    policies = cedarpy.PolicySet.from_str("""
        permit(principal is Person, action == Action::"train", resource is Category)
        when { context.t >= resource.from && context.t < resource.to };
        forbid(principal, action, resource) when { resource.objected };
    """)
    facts: Any = None

    def facts_of(place: int, question: Question) -> dict[str, Any]:
        return {
            "uid": {"type": "Category", "id": f"{place}/{question.category}"},
            "attrs": {"from": question.from_us, "to": question.until_us, "objected": question.objected},
            "parents": [],
        }

    def requests(questions: Sequence[Question]) -> list[dict[str, Any]]:
        nonlocal facts
        facts = cedarpy.Entities.from_json_str(json.dumps([facts_of(*pair) for pair in enumerate(questions)]))
        return [
            {
                "principal": {"type": "Person", "id": question.person},
                "action": {"type": "Action", "id": "train"},
                "resource": {"type": "Category", "id": f"{place}/{question.category}"},
                "context": json.dumps({"t": question.collected_us}),
            }
            for place, question in enumerate(questions)
        ]

    def batches(questions: Sequence[Question]) -> list[list[dict[str, Any]]]:
        asked = requests(questions)
        return [asked[place : place + BATCH] for place in range(0, len(asked), BATCH)]

    def ask(request: dict[str, Any]) -> bool:
        return bool(cedarpy.is_authorized(request, policies, facts).allowed)

    def ask_many(asked: list[dict[str, Any]]) -> list[bool]:
        return [answer.allowed for answer in cedarpy.is_authorized_batch(asked, policies, facts)]

    return [
        Form(package="cedarpy", name="Cedar, policies and facts parsed once", prepare=requests, ask=ask),
        Form(package="cedarpy", name=f"Cedar, {BATCH} a call", prepare=batches, ask=ask_many, many=True),
    ]


def _casbin() -> list[Form]:
    import casbin  # noqa: PLC0415
    from casbin.model import FastModel, Model  # noqa: PLC0415

    def casbin_model(*, request: str, policy: str, matcher: str) -> str:
        return (
            f"[request_definition]\nr = {request}\n[policy_definition]\np = {policy}\n"
            f"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
        )

    within = "r.frm <= r.t < r.to && !r.objected"
    model, fast_model = Model(), FastModel([0, 1])
    model.load_model_from_text(
        casbin_model(request="t, frm, to, objected, act", policy="act", matcher=f"{within} && r.act == p.act")
    )
    fast_model.load_model_from_text(  # the policy is found by action and category, so that the matcher need not
        casbin_model(request="act, obj, t, frm, to, objected", policy="act, obj", matcher=within)
    )
    plain = casbin.Enforcer(model)
    plain.add_policy("train")
    fast = casbin.FastEnforcer(fast_model, cache_key_order=[0, 1])
    known: set[str] = set()
    for name in ("casbin", "casbin.enforcer", "casbin.policy", "casbin.role"):
        logging.getLogger(name).disabled = True

    def values(questions: Sequence[Question]) -> list[tuple[Any, ...]]:
        return [(one.collected_us, one.from_us, one.until_us, one.objected, "train") for one in questions]

    def keyed(questions: Sequence[Question]) -> list[tuple[Any, ...]]:
        for category in {one.category for one in questions} - known:
            fast.add_policy("train", category)
            known.add(category)
        return [("train", one.category, one.collected_us, one.from_us, one.until_us, one.objected) for one in questions]

    def ask(request: tuple[Any, ...]) -> bool:
        return bool(plain.enforce(*request))

    def ask_fast(request: tuple[Any, ...]) -> bool:
        return bool(fast.enforce(*request))

    return [
        Form(package="casbin", name="Casbin Enforcer, by attributes", prepare=values, ask=ask),
        Form(package="casbin", name="Casbin FastEnforcer, by attributes", prepare=keyed, ask=ask_fast),
    ]


def _rego() -> list[Form]:
    from regopy import Input, Interpreter  # noqa: PLC0415

    builder = Interpreter()
    builder.add_module(
        "gate",
        """
        package gate
        default allow := false
        allow if { input[0] == "train"; input[1] >= input[2]; input[1] < input[3]; not input[4] }
        """,
    )
    bundle = builder.build(None, ["gate/allow"])
    engine = Interpreter()

    def values(questions: Sequence[Question]) -> list[list[Any]]:
        return [["train", one.collected_us, one.from_us, one.until_us, one.objected] for one in questions]

    def inputs(questions: Sequence[Question]) -> list[Any]:
        return [Input(value) for value in values(questions)]

    def ask(request: object) -> bool:
        engine.set_input(request)
        answers = engine.query_bundle_entrypoint(bundle, "gate/allow")
        return bool(answers[0].expressions == [True])  # whatever is not true is a no

    return [
        Form(package="regopy", name="Rego, compiled", prepare=values, ask=ask),
        Form(package="regopy", name="Rego, compiled, its input objects made before", prepare=inputs, ask=ask),
    ]


def _effaced() -> list[Form]:
    from effaced import ConsentLedger, bind_tables  # noqa: PLC0415
    from sqlalchemy import MetaData, create_engine  # noqa: PLC0415
    from sqlalchemy.orm import Session  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    metadata = MetaData()
    table = bind_tables(metadata).consent_records
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    ledger = ConsentLedger(table, None)  # nothing is recorded through it, so nothing is audited
    session = Session(engine)

    def pairs(questions: Sequence[Question]) -> list[tuple[str, str]]:
        facts = {(one.person, f"train {one.category}"): one for one in questions}
        session.execute(table.delete())
        session.execute(
            table.insert(),
            [
                {
                    "subject_id": person,
                    "purpose": purpose,
                    "policy_version": "1",
                    "granted": not one.objected,
                    "recorded_at": _EPOCH + timedelta(microseconds=max(0, one.from_us)),
                }
                for (person, purpose), one in facts.items()
                if one.from_us < NO_PERMIT_US  # of whom was never asked, nothing is recorded
            ],
        )
        session.commit()
        return [(one.person, f"train {one.category}") for one in questions]

    def ask(pair: tuple[str, str]) -> bool:
        return bool(ledger.status(session, *pair))

    return [
        Form(package="effaced", name="effaced, status", prepare=pairs, ask=ask, asks_the_date=False),
    ]
