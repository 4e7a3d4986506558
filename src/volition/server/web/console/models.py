"""Models for the operator, the engineer and the auditor: which are in use, which are stale, audits and model cards."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from volition.canonical import text_to_us
from volition.errors import BackendError, DamagedError, InvalidInputError, ProofError
from volition.learning.audit.finding import FAIL, NOT_MEASURED, PASS, Finding
from volition.learning.documents.formats import FORMATS
from volition.learning.families.installed import family_words
from volition.learning.forget import Owed
from volition.learning.grades import CALLER, GRADE_WORDS
from volition.learning.registry import ModelState
from volition.server.auth import Role
from volition.server.reading import NOBODY
from volition.server.web import labels as words
from volition.server.web.charts.plots import BoundPlot
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Badge, Download, Nav, Notice, Pages, Redirect, Visit

pages = Pages()

PATH: Final = "/console/models"

_WHO: Final = (Role.ENGINEER, Role.AUDITOR, Role.OPERATOR)
_FILES: Final[Mapping[str, str]] = {
    "card.json": "application/json",
    "card.md": "text/markdown",
    "attestation.json": "application/json",
    "model.sig": "application/json",
    "model.pub": "application/x-pem-file",
    **{form.file: form.media_type for form in FORMATS.values()},
}
_FORMS: Final[Mapping[str, str]] = {form.file: name for name, form in FORMATS.items()}
_AUDIT: Final = {
    "benefit": "Benefit of training",
    "fairness": "Fairness between groups",
    "attack": "Membership inference",
    "canary": "Memorisation (canaries)",
    "poisoning": "Data poisoning",
}
_HELD: Final = {PASS: "within its bound", FAIL: "misses its bound", NOT_MEASURED: "not measured"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One model in the list.

    Attributes:
        id: Its name.
        does: What it was trained for, in words.
        state: How it is used: in use, stale, forgotten.
        trained_us: When it was trained.
        released_us: When it was put to work; none if never.
        stale: What it owes, in words; empty where it owes nothing.
    """

    id: str
    does: str
    state: Badge
    trained_us: int
    released_us: int | None
    stale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsPage:
    """Every model, newest first.

    Attributes:
        title: The page's heading.
        stale: How many owe a forgetting.
        lines: The models.
    """

    title: str
    stale: int
    lines: Cut[ModelRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """What one audit found.

    Attributes:
        audit: Which, in words.
        metric: What was measured.
        value: The figure, in words.
        interval: Its 95 % interval; empty where there is none.
        bound: What it is held against; empty where nothing is set.
        verdict: How it came out, in words.
        misses: Whether it misses its bound.
        units: On how many units it rests.
        how: How it was measured.
        plot: The drawing; empty where nothing was measured.
    """

    audit: str
    metric: str
    value: str
    interval: str
    bound: str
    verdict: str
    misses: bool
    units: int
    how: str
    plot: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """A document about a release beside its card: its title, and the file that it is downloaded as."""

    title: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model's card says of its release."""

    released_us: int
    terms: str
    rows: int
    people: int
    accounts: int
    bounded: str
    override: str
    documents: tuple[ReleaseFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPage:
    """One model.

    Attributes:
        title: The page's heading.
        line: Its line in the list.
        snapshot: What it learned from.
        successor: The model that took its place; empty if none did.
        card: Its newest release; none if it has none, or if that cannot be shown.
        why_no_card: What is the matter with the card of a model that was released; empty where nothing is.
        forgets: How surely it forgets, in a sentence; empty where the ledger does not say.
        trained_by: Who trained it, in words.
        findings: What the audits found.
        why_none: Why there are no findings; empty where there are.
        may_audit: Whether the visitor may have it audited.
        may_release: Whether the visitor may put it to work.
        may_see_snapshot: Whether the visitor may open the snapshot.
    """

    title: str
    line: ModelRow
    snapshot: str
    successor: str
    forgets: str
    trained_by: str
    card: Card | None
    why_no_card: str
    findings: tuple[AuditRow, ...]
    why_none: str
    may_audit: bool
    may_release: bool
    may_see_snapshot: bool


@pages.get(PATH, roles=_WHO, template="console-models.html", nav=Nav(label="Models", place=260), reads=NOBODY)
def show(visit: Visit) -> ModelsPage:
    """Show every model."""
    owed = {one.model: one for one in visit.workspace.models.owed()}
    states = {one["id"]: one["state"] for one in visit.workspace.status()["models"]}
    now_us = visit.workspace.now_us
    models = sorted(visit.workspace.models.states().values(), key=lambda model: -model.trained_us)
    return ModelsPage(
        title="Models",
        stale=len(owed),
        lines=cut(visit, models, of="model", find=lambda model: model.id).each(
            lambda model: _line(model, states[model.id], owed.get(model.id), now_us)
        ),
    )


@pages.get(f"{PATH}/{{model}}", roles=_WHO, template="console-model.html", reads=NOBODY)
def one(visit: Visit) -> ModelPage:
    """Show one model: its card, and its audits against their bounds."""
    workspace = visit.workspace
    state = _state(visit)
    owed = {one.model: one for one in workspace.models.owed()}
    states = {one["id"]: one["state"] for one in workspace.status()["models"]}
    findings, why_none = _findings(visit, state)
    is_left = state.forgotten_us is None
    card, why_no_card = _card_of(visit, state)
    return ModelPage(
        title=state.id,
        line=_line(state, states[state.id], owed.get(state.id), workspace.now_us),
        snapshot=state.snapshot,
        successor=state.successor or "",
        card=card,
        why_no_card=why_no_card,
        forgets=f"It forgets {GRADE_WORDS[state.forgets]}" if state.forgets is not None else "",
        trained_by="code of your own" if state.trained_by == CALLER else "a model family",
        findings=tuple(_found(finding) for finding in findings),
        why_none=why_none,
        may_audit=is_left
        and state.trained_by != CALLER
        and visit.who.is_any(frozenset({Role.ENGINEER, Role.OPERATOR})),
        may_release=is_left
        and bool(findings)
        and state.id not in owed
        and visit.who.is_any(frozenset({Role.OPERATOR})),
        may_see_snapshot=visit.who.is_any(frozenset({Role.ENGINEER, Role.OPERATOR})),
    )


@pages.get(f"{PATH}/{{model}}/files/{{name}}", roles=_WHO, reads=NOBODY)
def file(visit: Visit) -> Download:
    """Give a file of a model's newest release, or a document about it."""
    name, model = visit.path["name"], visit.path["model"]
    match name:
        case "card.json" | "card.md" | "attestation.json":
            data = visit.workspace.models.release_file(model, name)
        case "model.sig" | "model.pub":
            data = visit.workspace.documents.signature(model)[name]
        case _ if name in _FORMS:
            _, data = visit.workspace.documents.release(model, _FORMS[name])
        case _:
            raise InvalidInputError(f"A release has no file {name!r}. It has: {words.listed([*_FILES])}.")
    return Download(name=f"{model}-{name}", data=data, media_type=_FILES[name])


@pages.post(f"{PATH}/{{model}}/audit", roles=[Role.ENGINEER, Role.OPERATOR])
def audit(visit: Visit) -> Redirect:
    """Have a model audited."""
    model = _state(visit).id
    visit.workspace.models.open(model)
    job = visit.jobs.start("audit", model, by=visit.who.acts_as)
    return Redirect(to=f"/console/runs/{job.id}", notice=Notice(text="The audit is queued."))


@pages.post(f"{PATH}/{{model}}/release", roles=[Role.OPERATOR], is_final=True)
def release(visit: Visit) -> Redirect:
    """Release a model that is within its bounds; beyond them it takes the command line, a name and a reason."""
    model = _state(visit).id
    entry = visit.workspace.models.release(model)
    text = f"{model} is released, with a signed model card. It is recorded as entry {entry.seq:,} of the ledger."
    return Redirect(to=f"{PATH}/{model}", notice=Notice(text=text))


def _state(visit: Visit) -> ModelState:
    state = visit.workspace.models.states().get(visit.path["model"])
    if state is None:
        raise InvalidInputError("There is no such model. The list of models shows those that exist.")
    return state


def _findings(visit: Visit, state: ModelState) -> tuple[Sequence[Finding], str]:
    if state.forgotten_us is not None:
        return [], "The model was forgotten: it is erased, and so are the results of its audits."
    try:
        found = visit.workspace.models.findings(visit.workspace.models.open(state.id))
    except (InvalidInputError, DamagedError) as error:  # of this model alone: the rest of the page stands
        return [], str(error)
    return found, "" if found else "The model has not been audited yet, so it cannot be released."


def _card_of(visit: Visit, state: ModelState) -> tuple[Card | None, str]:
    if state.forgotten_us is not None or state.released_us is None:
        return None, ""
    try:
        return _card(json.loads(visit.workspace.models.release_file(state.id, "card.json"))), ""
    except (ProofError, BackendError, InvalidInputError) as error:  # of its card alone, likewise
        return None, str(error)


def _line(model: ModelState, state: str, owed: Owed | None, now_us: int) -> ModelRow:
    overdue = owed is not None and owed.due_us < now_us
    shown = "in use" if state == "at work" else state
    word = "overdue, not used" if overdue else f"{shown}, stale" if owed is not None else shown
    return ModelRow(
        id=model.id,
        does=family_words(model.family).training,
        state=Badge(word=word, is_on=state == "at work" and owed is None),
        trained_us=model.trained_us,
        released_us=model.released_us,
        stale="" if owed is None else f"{owed.rows:,} records to forget by {words.day(owed.due_us)}",
    )


def _card(card: Mapping[str, Any]) -> Card:
    override = card["override"]
    return Card(
        released_us=text_to_us(card["released"]),
        terms=words.listed(card["terms"]),
        rows=sum(counts["kept"] for counts in card["learned_from"]["rows"].values()),
        people=card["learned_from"]["people"],
        accounts=len(card["learned_from"]["accounts"]),
        bounded=words.bounded(card),
        override="" if override is None else f"{override['by']} decided so, because: {override['why']}",
        documents=tuple(_documents(card)),
    )


def _documents(card: Mapping[str, Any]) -> Iterator[ReleaseFile]:
    if "signing_key" in card:  # earlier releases have no signature
        yield ReleaseFile(title="Signature of the model's files (OpenSSF)", file="model.sig")
        yield ReleaseFile(title="Public key of that signature", file="model.pub")
    for form in FORMATS.values():
        yield ReleaseFile(title=form.title, file=form.file)


def _found(finding: Finding) -> AuditRow:
    plot = Markup("")
    if finding.value is not None:
        plot = BoundPlot(
            value=finding.value,
            low=finding.low,
            high=finding.high,
            bound=finding.bound,
            at_least=finding.audit == "benefit",
            misses=finding.verdict == FAIL,
        ).svg
    has_interval = finding.low is not None and finding.high is not None
    side = "at least" if finding.audit == "benefit" else "at most"
    return AuditRow(
        audit=_AUDIT.get(finding.audit, finding.audit),
        metric=finding.metric,
        value="not measured" if finding.value is None else f"{finding.value:z,.3f}",
        interval=f"{finding.low:z,.3f} to {finding.high:z,.3f}" if has_interval else "",
        bound="" if finding.bound is None else f"{side} {finding.bound:g}",
        verdict=_HELD.get(finding.verdict, "no bound is set"),
        misses=finding.verdict == FAIL,
        units=finding.units,
        how=finding.how,
        plot=plot,
    )
