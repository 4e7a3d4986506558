"""Models that learned from a person: which, from how much, what they must forget by when; each with card and proof.

The card of a model, as a page and as JSON, is shown as one person may read it: without other customers' names and
figures (see `card.card_for_people`). The proof is theirs alone, and `volition verify` checks it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import text_to_us
from volition.errors import RefusedError
from volition.learning.families.installed import family_words, installed_families
from volition.learning.grades import CALLER, GRADE_WORDS, afterwards
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Badge, Download, Nav, Pages, Visit
from volition.server.web.person.weigh import PATH as WEIGH
from volition.server.web.person.weigh import anchor
from volition.transparency.receipt import PROOFS_FORMAT
from volition.transparency.traces import Trace

pages = Pages()
PATH: Final = "/models"
_SHOWN: Final = 20  # of one of its lists on one page


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCard:
    """One model.

    Attributes:
        model: Its id.
        title: What it is for.
        state: Whether it is in use.
        detail: What it learned and what became of it, sentence by sentence.
        due: What it must forget and by when; empty where nothing.
        card: Where its card is; empty where it was never released.
        proof: Where the proof is.
        weigh: Where its purpose is weighed.
    """

    model: str
    title: str
    state: Badge
    detail: tuple[str, ...]
    due: str
    card: str
    proof: str
    weigh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A feature, and which model is in use for it."""

    title: str
    detail: str
    model: str
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedPage:
    """Models that learned from a person.

    Attributes:
        title: The page's heading.
        lead: What is shown, in a sentence.
        standing: Whether any model in use learned from them.
        empty: Why nothing is shown; empty where there is.
        learned: Models that learned from them.
        unsure: Models of which that cannot be said, since what they learned from cannot be read here.
        others: Models that did not.
        forgotten: Models that had learned from them, and were forgotten.
        working: Each feature, and which model is in use.
    """

    title: str
    lead: str
    standing: Badge
    empty: str
    learned: Cut[LearnedCard]
    unsure: Cut[LearnedCard]
    others: Cut[LearnedCard]
    forgotten: Cut[LearnedCard]
    working: tuple[AtWork, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """One kind of the visitor's data that a model learned from, and how many records of it."""

    category: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFinding:
    """One figure of a card, in words."""

    what: str
    metric: str
    value: str
    interval: str
    bound: str
    verdict: str
    units: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPage:
    """A model's card, as one person may read it.

    Attributes:
        title: The page's heading.
        lead: What the model is for, in a sentence.
        state: Whether it is in use.
        back: Where it came from.
        download: Where the card's JSON is.
        proof: Where the proof is whether it learned from the visitor.
        yours: Whether it learned from the visitor, in a sentence.
        learned: What it learned from, in a sentence.
        bounded: What limits how much an adapter keeps of one person; empty for other models.
        rows: What of the visitor's it learned from, by kind of data.
        override: Who decided on a release beyond the bounds, and why; empty where all were met.
        found: What was measured.
        withheld: What is left out here, in a sentence.
        facts: What the signed evidence names: a name and a digest each.
    """

    title: str
    lead: str
    state: Badge
    back: str
    download: str
    proof: str
    yours: str
    learned: str
    bounded: str
    rows: tuple[CardRow, ...]
    override: str
    found: tuple[CardFinding, ...]
    withheld: str
    facts: tuple[tuple[str, str], ...]


@pages.get(PATH, roles=[Role.PERSON], template="models.html", nav=Nav(label="Models", place=40))
def show(visit: Visit) -> LearnedPage:
    """Show every model by what it learned from the visitor."""
    found = visit.workspace.proofs.traces(_person(visit))[::-1]
    learned = [trace for trace in found if trace.rows and trace.model.forgotten_us is None]
    forgotten = [trace for trace in found if trace.rows and trace.model.forgotten_us is not None]
    unsure = [trace for trace in found if trace.is_unsure]
    others = [trace for trace in found if not trace.rows and not trace.is_unsure]
    at_work = [trace for trace in learned if trace.at_work]
    word = f"{len(at_work)} in use learned from you" if at_work else "No model in use learned from you"
    if doubtful := sum(trace.at_work for trace in unsure):
        word = f"{len(at_work)} in use learned from you; of {doubtful} it is not known"
    return LearnedPage(
        title="Models that learned from you",
        lead="Every model that was ever trained here, with a proof of whether it learned from you. A proof "
        "names no other "
        "person; it includes the description of the training set, which names the organisations in it.",
        standing=Badge(word=word, is_on=bool(at_work or doubtful)),
        empty="" if found else "No model has been trained here yet, so none has learned from you.",
        learned=_part(visit, learned, "learned"),
        unsure=_part(visit, unsure, "unsure"),
        others=_part(visit, others, "others"),
        forgotten=_part(visit, forgotten, "forgotten"),
        working=tuple(_working(found)),
    )


def _part(visit: Visit, found: Sequence[Trace], name: str) -> Cut[LearnedCard]:
    part = cut(visit, found, of="model", size=_SHOWN, name=name, find=lambda trace: trace.model.id)
    return part.each(_card)


@pages.get(f"{PATH}/{{model}}", roles=[Role.PERSON], template="card.html")
def show_card(visit: Visit) -> CardPage:
    """Show a model's card."""
    person, name = _person(visit), visit.path["model"]
    card = visit.workspace.models.card_for(person, name)
    trace = next(trace for trace in visit.workspace.proofs.traces(person) if trace.model.id == name)
    learned = card["learned_from"]
    override = card["override"]
    return CardPage(
        title=f"{family_words(trace.model.family).title}: model card",
        lead=f"{name} was released on {words.day(text_to_us(card['released']))} for this purpose only: "
        f"{words.purpose_in_words(card['purpose'])}.",
        state=_state(trace),
        back=PATH,
        download=f"{PATH}/{name}/card.json",
        proof=f"{PATH}/{name}/proof.json",
        yours=" ".join(_details(trace)),
        learned=f"Its training set was frozen on {words.day(text_to_us(learned['at']))}; everyone whose yes the terms "
        "ask for had said yes. What it learned from others is not shown here.",
        bounded=words.bounded(card),
        rows=tuple(_kept(category, rows) for category, rows in learned["own_rows"].items()),
        override="" if override is None else f"Released beyond its bounds by {override['by']}: {override['why']}",
        found=tuple(_found(finding) for finding in card["findings"]),
        withheld=" ".join([card["withheld"], *_grade(trace)]),
        facts=(
            ("Model", card["digest"]),
            ("Training set", learned["manifest"]),
            ("Whole card", card["extract_of"]),
            ("Terms", words.listed(card["terms"]) or "none"),
        ),
    )


@pages.get(f"{PATH}/{{model}}/card.json", roles=[Role.PERSON])
def download_card(visit: Visit) -> Download:
    """Give the card as JSON."""
    name = visit.path["model"]
    card = visit.workspace.models.card_for(_person(visit), name)
    return _json(f"card-{name}.json", card)


@pages.get(f"{PATH}/{{model}}/proof.json", roles=[Role.PERSON])
def download_proof(visit: Visit) -> Download:
    """Give the proof that a model did, or did not, learn from the visitor."""
    name = visit.path["model"]
    proofs = visit.workspace.proofs.person(_person(visit), model=name)
    return _json(f"proof-{name}.json", {"format": PROOFS_FORMAT, "proofs": proofs})


def _json(name: str, value: Mapping[str, Any]) -> Download:
    return Download(name=name, data=json.dumps(value, indent=1).encode(), media_type="application/json")


def _person(visit: Visit) -> str:
    if visit.who.person is None:
        raise RefusedError("You are not signed in as a person, so no model can have learned from you.")
    return visit.who.person


def _card(trace: Trace) -> LearnedCard:
    name = trace.model.id
    due = ""
    if trace.due_us is not None and trace.refused_us is not None:
        due = (
            f"Since {words.day(trace.refused_us)} {trace.refused:,} of these records may not be used any more. "
            f"By {words.day(trace.due_us)} it must forget them; {afterwards(trace.model.forgets)}."
        )
    return LearnedCard(
        model=name,
        title=family_words(trace.model.family).title,
        state=_state(trace),
        detail=tuple(_details(trace)),
        due=due,
        card="" if trace.model.released_us is None else f"{PATH}/{name}",
        proof=f"{PATH}/{name}/proof.json",
        weigh=f"{WEIGH}#{anchor(trace.purpose)}",
    )


def _grade(trace: Trace) -> Iterator[str]:
    if trace.model.trained_by == CALLER:
        yield "The operator's own code trained this model; figures that say so were measured by it."
    if trace.model.forgets is not None:
        yield f"It forgets {GRADE_WORDS[trace.model.forgets]}"


def _state(trace: Trace) -> Badge:
    if trace.model.forgotten_us is not None:
        return Badge(word="Forgotten", is_on=False)
    return Badge(word="In use" if trace.at_work else "Not in use", is_on=trace.at_work)


def _details(trace: Trace) -> Iterator[str]:
    model = trace.model
    if trace.rows:
        verb = "concerns" if trace.rows == 1 else "concern"
        had = "learned" if model.forgotten_us is None else "had learned"
        yield f"It {had} from {_records(trace.rows)} that {verb} you: {words.categories(trace.categories)}."
    elif trace.is_unsure:
        yield "What it learned from cannot be read here at present, so whether it learned from you is not known."
    else:
        yield "It never saw any record that concerns you."
    yield f"Trained on {words.day(model.trained_us)}."
    if model.forgotten_us is not None:
        # Why is not said: an answer of theirs, a limit, a meeting left out. Whether others refused is theirs.
        why = ", since records that concern you might no longer be used" if trace.forgot else ""
        after = f"{model.successor} replaced it." if model.successor else "No model replaced it."
        yield f"It was forgotten on {words.day(model.forgotten_us)}{why}, and its files are erased. {after}"


def _records(rows: int) -> str:
    return "one record" if rows == 1 else f"{rows:,} records"


def _working(traces: list[Trace]) -> Iterator[AtWork]:
    by_family = {trace.model.family: trace for trace in traces if trace.at_work}
    installed = installed_families()
    for family in dict.fromkeys([*installed, *sorted(by_family)]):
        title, trace = family_words(family).title, by_family.get(family)
        if trace is None and installed[family].needs_settings:
            continue  # it is an extra: where none is at work, nobody goes without anything
        if trace is None:
            yield AtWork(title=title, detail="no model in use; the feature works without one", model="", card="")
        else:
            released = "" if trace.model.released_us is None else f"released {words.day(trace.model.released_us)}"
            yield AtWork(title=title, detail=released, model=trace.model.id, card=f"{PATH}/{trace.model.id}")


def _kept(category: str, rows: int) -> CardRow:
    name = words.category(category)
    return CardRow(category=name[0].upper() + name[1:], rows=rows)


def _found(finding: Mapping[str, Any]) -> CardFinding:
    def figure(value: float | None) -> str:
        return "-" if value is None else f"{value:z.3f}"

    has_interval = finding["low"] is not None and finding["high"] is not None
    return CardFinding(
        what=words.MEASURE[finding["audit"]].title,
        metric="" if finding["metric"] == "none" else finding["metric"],
        value=figure(finding["value"]),
        interval=f"{figure(finding['low'])} to {figure(finding['high'])}" if has_interval else "-",
        bound=figure(finding["bound"]),
        verdict=finding["verdict"],
        units=f"{finding['units']:,}",
        how=finding["how"],
    )
