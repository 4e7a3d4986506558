"""Weigh: what a yes gives and what it costs, measured, beside the way to the switch. It comes before the choice.

The same page for a person, about their own data, and for an account's administrator, about the account's. For each
purpose the verdict comes first, in a sentence that follows from the figures (see `transparency.verdicts`), then a
chart, and every figure by its technical name for those who open them. What was not measured says so. No model is
measured while the page is made, and nothing is chosen on it: each purpose leads to its switch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from volition.consent.choices import Choice, ChoiceLine
from volition.consent.history import BEGINNING_US
from volition.consent.permits import Permit, Refusal, Say
from volition.errors import RefusedError
from volition.learning.families.installed import family_words
from volition.learning.families.spec import FamilyWords
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.charts.bars import Interval, IntervalChart
from volition.server.web.page import Badge, Link, Nav, Pages, Visit
from volition.server.web.person import settings
from volition.server.web.standing import use_state
from volition.transparency.figures import WHEN_ASKED, MeasuredFigure
from volition.transparency.verdicts import OWN_RISKS, of_own_risk
from volition.transparency.weigh import LearnedModel, SwitchEffect, WeighedPurpose

pages = Pages()
PATH: Final = "/weigh"
ACCOUNT_SETTINGS: Final = "/account"
"""Where an administrator finds the account's switches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureLine:
    """One figure as audits call it, for those who open the table.

    Attributes:
        what: What was measured, and by which measure.
        whose: Whose figure it is.
        value: The figure, or "not measured".
        interval: Its 95 % interval; empty where there is none.
        sample: On what it was measured; empty where it was not.
        bound: Its bound for a release, and whether it is met; empty where none is set.
    """

    what: str
    whose: str
    value: str
    interval: str
    sample: str
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToForget:
    """A model that a no would make forget: what it is called, and what it holds."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighCard:
    """One purpose, weighed.

    Attributes:
        name: Its anchor.
        title: What it is called.
        does: What it is for, in a sentence.
        state: Whether it is used.
        stands: Whether it is allowed and why, a sentence for each party.
        verdict: What a yes gives, in sentences, the first to be read first; empty for a feature.
        risks: What it costs whoever says it, in sentences; empty likewise.
        drawn: The gain for the reader alone, drawn; none where it was not measured.
        charts: What was measured, drawn: the gain, and the risks that are the reader's own.
        figures: Every figure by its technical name.
        how: What each measure means, how it was measured, or why it was not.
        saved: What the feature saved the account, in sentences; empty for training.
        unsaved: What of that was not measured, and why.
        a_no: What a no does, sentence by sentence.
        withdrawing: What withdrawing later does.
        models: The models that would have to forget.
        stays: What withdrawing cannot undo.
        switches: The ways to its switches.
        has_say: Whether there is anything to choose at them.
    """

    name: str
    title: str
    does: str
    state: Badge
    stands: tuple[str, ...]
    verdict: tuple[str, ...]
    risks: tuple[str, ...]
    drawn: IntervalChart | None
    charts: tuple[IntervalChart, ...]
    figures: tuple[FigureLine, ...]
    how: tuple[str, ...]
    saved: tuple[str, ...]
    unsaved: tuple[str, ...]
    a_no: tuple[str, ...]
    withdrawing: str
    models: tuple[ToForget, ...]
    stays: tuple[str, ...]
    switches: tuple[Link, ...]
    has_say: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighPage:
    """What a party weighs before it chooses.

    Attributes:
        title: The page's heading.
        lead: What is shown, in a sentence.
        sides: For whom it is shown, where somebody may see both sides; empty otherwise.
        empty: Why there is nothing to weigh; empty where there is.
        trains: Purposes of training of which something was measured.
        unmeasured: Purposes of training of which nothing was.
        features: Purposes of features.
    """

    title: str
    lead: str
    sides: tuple[Link, ...]
    empty: str
    trains: tuple[WeighCard, ...]
    unmeasured: tuple[WeighCard, ...]
    features: tuple[WeighCard, ...]


@pages.get(PATH, roles=[Role.PERSON, Role.ADMINISTRATOR], template="weigh.html", nav=Nav(label="Weigh", place=20))
def show(visit: Visit) -> WeighPage:
    """Weigh every purpose that the terms do not forbid."""
    party, account = _of(visit)
    is_account = party.startswith("account:")
    organisation = visit.workspace.parties.account(account).name
    found = visit.workspace.consent.choices(party, account=account)
    lines: dict[str, list[ChoiceLine]] = {}
    switches: dict[str, list[Choice]] = {}
    for choice in found.choices:
        for purpose in choice.purposes:
            switches.setdefault(purpose, []).append(choice)
        for line in choice.lines:
            lines.setdefault(line.purpose, []).append(line)
    weighed = visit.workspace.weigh.party(party, purpose=list(lines)).purposes if lines else ()
    cards = {
        one.purpose: _card(one, lines[one.purpose], switches[one.purpose], organisation, is_account=is_account)
        for one in weighed
    }
    training = [card for purpose, card in cards.items() if purpose.startswith("train/")]
    whose = organisation if is_account else "you"
    return WeighPage(
        title="Weigh",
        lead=f"What a yes gives {whose}, what it costs, and what a no does.",
        sides=_sides(visit, organisation, is_account=is_account),
        empty="" if cards else "No terms that allow anything have been published yet, so there is nothing to weigh.",
        trains=tuple(card for card in training if card.charts),
        unmeasured=tuple(card for card in training if not card.charts),
        features=tuple(card for purpose, card in cards.items() if not purpose.startswith("train/")),
    )


def anchor(purpose: str) -> str:
    """Return the anchor of a purpose on this page."""
    return purpose.replace("/", "-")


def _of(visit: Visit) -> tuple[str, str]:
    """Return the party for which is weighed, and its account."""
    who = visit.who
    if who.account is None:
        raise RefusedError("You are not signed in for an account, so there is nothing to weigh here.")
    as_account = who.is_any([Role.ADMINISTRATOR]) and (visit.query.get("for") == "account" or who.person is None)
    if as_account or not who.is_any([Role.PERSON]):
        return f"account:{who.account}", who.account
    return f"person:{who.person}", who.account


def _sides(visit: Visit, organisation: str, *, is_account: bool) -> tuple[Link, ...]:
    if not (visit.who.is_any([Role.PERSON]) and visit.who.is_any([Role.ADMINISTRATOR]) and visit.who.person):
        return ()
    return (
        Link(label="For you", href=PATH, is_here=not is_account),
        Link(label=f"For {organisation}", href=f"{PATH}?for=account", is_here=is_account),
    )


def _card(
    weighing: WeighedPurpose,
    lines: Sequence[ChoiceLine],
    switches: Sequence[Choice],
    organisation: str,
    *,
    is_account: bool,
) -> WeighCard:
    purpose = words.purpose(weighing.purpose)
    here = ACCOUNT_SETTINGS if is_account else settings.PATH
    charts = tuple(_charts(weighing, organisation, is_account=is_account))
    gain = next((chart for chart in charts if not chart.is_risk), None)
    return WeighCard(
        name=anchor(weighing.purpose),
        title=purpose.title,
        does=purpose.does,
        state=use_state(lines),
        stands=tuple(_stands(lines, organisation, is_account=is_account)),
        verdict=weighing.verdict,
        risks=weighing.own_risks,
        drawn=None if gain is None else replace(gain, rows=gain.rows[:1]),
        charts=charts,
        figures=tuple(_figure(one, organisation, is_account=is_account) for one in (*weighing.gains, *weighing.costs)),
        how=tuple(dict.fromkeys(_how(one) for one in (*weighing.gains, *weighing.costs))),
        saved=tuple(one.says for one in weighing.saved if one.value is not None),
        unsaved=tuple(one.says for one in weighing.saved if one.value is None),
        a_no=(weighing.a_no, *(_off(off, weighing.purpose) for off in weighing.switches)),
        withdrawing=weighing.withdrawing,
        models=tuple(_to_forget(model, organisation, is_account=is_account) for model in weighing.models),
        stays=weighing.stays,
        switches=tuple(
            Link(label=words.switch_title(choice), href=f"{here}#{choice.switch.name}", is_here=False)
            for choice in switches
        ),
        has_say=any(choice.has_say for choice in switches),
    )


def _stands(lines: Sequence[ChoiceLine], organisation: str, *, is_account: bool) -> Iterator[str]:
    """Say on each side whether a use is allowed, kinds of data with the same answer in one sentence."""
    sides = [
        (organisation, [(line.category, _side(line.of_account, organisation, line.account_say)) for line in lines])
    ]
    if not is_account:
        sides.insert(
            0, ("You", [(line.category, _side(line.own, "you", line.say, by_signal=line.by_signal)) for line in lines])
        )
    for who, answers in sides:
        alike: dict[str, list[str]] = {}
        for category, detail in dict(answers).items():
            alike.setdefault(detail, []).append(category)
        said = [
            detail if len(alike) == 1 else f"{detail}, for {words.categories(categories)}"
            for detail, categories in alike.items()
        ]
        yield f"{who}: {'; '.join(said)}."
    if any(line.stands for line in lines) and (more := words.elsewhere(lines)):
        yield more


def _side(answer: Permit | Refusal, who: str, say: Say, *, by_signal: bool = False) -> str:
    if isinstance(answer, Permit) and say is Say.NONE:
        since = "" if answer.since_us <= BEGINNING_US else f"; allowed since {words.day(answer.since_us)}"
        return f"not asked by the terms{since}"
    if isinstance(answer, Permit):
        return f"allowed since {words.day(answer.since_us)}"
    return f"not allowed: {words.SIGNAL if by_signal else settings.because(answer, who)}"


def _off(off: SwitchEffect, purpose: str) -> str:
    names = [words.purpose_in_words(name) for name in (*off.refuses, *off.disables) if name != purpose]
    if not names:
        return f"Turning off the switch “{off.title}” turns off nothing else."
    return f"Turning off the switch “{off.title}” also turns off: {words.listed(names)}."


def _to_forget(model: LearnedModel, organisation: str, *, is_account: bool) -> ToForget:
    held = f"records of {organisation} in it" if is_account else "records in it that concern you"
    work = "in use" if model.at_work else "not in use"
    if model.is_unsure:
        rows = "not known, since what it learned from cannot be read here"
    elif model.rows is None:
        rows = "not shown, since the number would say something about single people"
    else:
        rows = f"{model.rows:,}"
    beyond = ""
    if model.overridden is not None:
        beyond = f" Released beyond its bounds by {model.overridden['by']}: {model.overridden['why']}"
    return ToForget(name=model.model, detail=f"{work}; {held}: {rows}.{beyond}")


def _charts(weighing: WeighedPurpose, organisation: str, *, is_account: bool) -> Iterator[IntervalChart]:
    """Draw what was measured: for each model the gain, then the reader's own risks beside what a guess would give."""
    benefits: dict[str | None, list[MeasuredFigure]] = {}
    for figure in weighing.gains:
        if figure.what == "benefit" and figure.value is not None:
            benefits.setdefault(figure.model, []).append(figure)
    for model, several in benefits.items():
        yield _gain_chart(family_words((model or "").rpartition("-")[0]), several, organisation, is_account=is_account)
    for risk in OWN_RISKS:
        for figure in of_own_risk(weighing.costs, risk):
            measure = words.MEASURE[risk]
            scale = 100.0 if risk == "attack" else 1.0
            row = _row(figure, (figure.value, figure.low, figure.high), scale, organisation, is_account=is_account)
            yield IntervalChart(
                title=measure.drawn,
                unit="",
                of=measure.of,
                rows=(replace(row, chance=None if figure.chance is None else figure.chance * scale),),
                is_risk=True,
                digits=1,
            )


def _gain_chart(
    family: FamilyWords, several: Sequence[MeasuredFigure], organisation: str, *, is_account: bool
) -> IntervalChart:
    """Draw a gain in what people count where the family says what that is, otherwise by its measure."""
    counts = bool(family.first) and all(figure.first is not None for figure in several)
    scale = 100.0 if counts or family.score else 1.0
    rows = [
        _row(
            figure,
            (figure.first.value, figure.first.low, figure.first.high)
            if counts and figure.first is not None
            else (figure.value, figure.low, figure.high),
            scale,
            organisation,
            is_account=is_account,
        )
        for figure in several
    ]
    of = f"of 100 {family.units}" if counts else "points of 100" if family.score else "by its measure"
    title = f"How much better with training, {of}"
    return IntervalChart(title=title, unit="", of=family.units, rows=tuple(rows), digits=1 if scale > 1 else 3)


def _row(
    figure: MeasuredFigure,
    drawn: tuple[float | None, float | None, float | None],
    scale: float,
    organisation: str,
    *,
    is_account: bool,
) -> Interval:
    value, low, high = (None if end is None else end * scale for end in drawn)
    return Interval(
        name=_whose(figure, organisation, is_account=is_account),
        value=value,
        low=low,
        high=high,
        units=figure.units,
        is_yours=figure.about != "everybody",
    )


def _whose(figure: MeasuredFigure, organisation: str, *, is_account: bool) -> str:
    return {"you": organisation if is_account else "You", "your account": organisation, "everybody": "Everyone"}[
        figure.about
    ]


def _figure(figure: MeasuredFigure, organisation: str, *, is_account: bool) -> FigureLine:
    measure = words.MEASURE[figure.what]
    family = family_words((figure.model or "").rpartition("-")[0]) if figure.model else None
    of = measure.of or (family.units if family else "units")
    title = f"{family.title}, {measure.title.lower()}" if family else measure.title
    return FigureLine(
        what=title if figure.metric == "none" else f"{title}: {figure.metric}",
        whose=_whose(figure, organisation, is_account=is_account),
        value="not measured" if figure.value is None else f"{figure.value:,.3f}",
        interval="" if figure.low is None else f"{figure.low:,.3f} to {figure.high:,.3f}",
        sample="" if figure.value is None else words.counted(figure.units, of),
        bound="" if figure.bound is None or figure.value is None else _bound(figure),
    )


def _how(figure: MeasuredFigure) -> str:
    measure = words.MEASURE[figure.what]
    how = figure.how
    if how == f"Not measured. {WHEN_ASKED}":
        how = "Not measured. It takes minutes, so it is not done on a page; ask the operator to measure it."
    return f"{measure.title}. {measure.means} {how}"


def _bound(figure: MeasuredFigure) -> str:
    held = "met" if figure.verdict == "pass" else "missed"
    return f"at {'most' if figure.what != 'benefit' else 'least'} {figure.bound:g}: {held}"
