"""Weigh: what a yes gives and what it costs, measured, beside the way to the switch. It comes before the choice.

The same page for a person, about their own data, and for an account's administrator, about the account's. Every figure
is one that an audit found, with its interval and what it was measured on; what was not measured says so. Nothing is
measured while the page is made, and nothing is chosen on it: each purpose leads to its switch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from volition.consent.choices import Choice, ChoiceLine
from volition.consent.history import BEGINNING_US
from volition.consent.permits import Permit, Refusal, Say
from volition.errors import RefusedError
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.charts.bars import Interval, IntervalChart
from volition.server.web.page import Badge, Link, Nav, Pages, Visit
from volition.server.web.person import settings
from volition.server.web.standing import use_state
from volition.transparency.figures import WHEN_ASKED, MeasuredFigure
from volition.transparency.weigh import LearnedModel, SwitchEffect, WeighedPurpose

pages = Pages()
PATH: Final = "/weigh"
ACCOUNT_SETTINGS: Final = "/account"
"""Where an administrator finds the account's switches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Figures that are of one thing.

    Attributes:
        chart: The figures with their intervals.
        means: What is measured and which way is good, in a sentence.
        sample: On what it was measured, in a sentence.
        bound: Its bound for a release, and whether it is met; empty where none is set.
        how: How each figure was measured, or why it was not.
        is_measured: Whether there is any figure.
    """

    chart: IntervalChart
    means: str
    sample: str
    bound: str
    how: tuple[str, ...]
    is_measured: bool


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
        gains: What a yes gives; empty for a feature.
        costs: What it costs in measured risk; empty likewise.
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
    gains: tuple[Measured, ...]
    costs: tuple[Measured, ...]
    a_no: tuple[str, ...]
    withdrawing: str
    models: tuple[ToForget, ...]
    stays: tuple[str, ...]
    switches: tuple[Link, ...]
    has_say: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighGlance:
    """One line of the overview: a purpose of training, whether it is used, a gain, how many risks were measured."""

    title: str
    href: str
    state: Badge
    gain: str
    risks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighPage:
    """What a party weighs before it chooses.

    Attributes:
        title: The page's heading.
        lead: What is shown, in a sentence.
        sides: For whom it is shown, where somebody may see both sides; empty otherwise.
        empty: Why there is nothing to weigh; empty where there is.
        glances: The purposes of training at a glance.
        trains: Purposes of training.
        features: Purposes of features.
    """

    title: str
    lead: str
    sides: tuple[Link, ...]
    empty: str
    glances: tuple[WeighGlance, ...]
    trains: tuple[WeighCard, ...]
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
    whose = organisation if is_account else "you"
    trains = tuple(card for purpose, card in cards.items() if purpose.startswith("train/"))
    return WeighPage(
        title="Weigh",
        lead=f"What {whose} would gain from a yes, what it costs in measured risk, and what a no does. Read "
        "first, then "
        "choose; you cannot choose anything on this page.",
        sides=_sides(visit, organisation, is_account=is_account),
        empty="" if cards else "No terms that allow anything have been published yet, so there is nothing to weigh.",
        glances=tuple(_glance(card) for card in trains),
        trains=trains,
        features=tuple(card for purpose, card in cards.items() if not purpose.startswith("train/")),
    )


def anchor(purpose: str) -> str:
    """Return the anchor of a purpose on this page."""
    return purpose.replace("/", "-")


def _glance(card: WeighCard) -> WeighGlance:
    row, chart = next(((row, each.chart) for each in card.gains for row in each.chart.rows), (None, None))
    measured = sum(each.is_measured for each in card.costs)
    return WeighGlance(
        title=card.title,
        href=f"#{card.name}",
        state=card.state,
        gain="not measured"
        if row is None or chart is None or row.value is None
        else f"{chart.text(row.value)} ({row.name}, {words.counted(row.units, chart.of)})",
        risks=f"{measured} of {len(card.costs)} measured" if measured else "not measured",
    )


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
    purpose = words.PURPOSES[weighing.purpose]
    here = ACCOUNT_SETTINGS if is_account else settings.PATH
    return WeighCard(
        name=anchor(weighing.purpose),
        title=purpose.title,
        does=purpose.does,
        state=use_state(lines),
        stands=tuple(_stands(lines, organisation, is_account=is_account)),
        gains=tuple(_measured(weighing, weighing.gains, organisation, is_account=is_account, is_risk=False)),
        costs=tuple(
            sorted(
                _measured(weighing, weighing.costs, organisation, is_account=is_account, is_risk=True),
                key=lambda measured: not measured.is_measured,
            )
        ),
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
    rows = (
        "not shown, since the number would say something about single people"
        if model.rows is None
        else f"{model.rows:,}"
    )
    beyond = ""
    if model.overridden is not None:
        beyond = f" Released beyond its bounds by {model.overridden['by']}: {model.overridden['why']}"
    return ToForget(name=model.model, detail=f"{work}; {held}: {rows}.{beyond}")


def _measured(
    weighing: WeighedPurpose, figures: Sequence[MeasuredFigure], organisation: str, *, is_account: bool, is_risk: bool
) -> Iterator[Measured]:
    """Put the figures of one thing into one chart, those of the visitor first."""
    together: dict[tuple[str, str, str | None], list[MeasuredFigure]] = {}
    for figure in figures:
        together.setdefault((figure.what, figure.metric if is_risk else "", figure.model), []).append(figure)
    families = {model.rpartition("-")[0] for _, _, model in together if model is not None}
    for (what, _, model), several in together.items():
        measure = words.MEASURE[what]
        metric = next((figure.metric for figure in several if figure.metric != "none"), "")
        family = weighing.purpose.removeprefix("train/") if model is None else model.rpartition("-")[0]
        of = measure.of or words.family_words(family).units
        title = f"{words.family_words(family).title}, {measure.title.lower()}" if len(families) > 1 else measure.title
        names = {"you": organisation if is_account else "You", "your account": organisation, "everybody": "Everyone"}
        rows = tuple(
            Interval(
                name=names[figure.about],
                value=figure.value,
                low=figure.low,
                high=figure.high,
                units=figure.units,
                is_yours=figure.about != "everybody",
            )
            for figure in several
        )
        known = [(names[figure.about], figure.units) for figure in several if figure.value is not None]
        bound = next((figure for figure in several if figure.bound is not None and figure.value is not None), None)
        yield Measured(
            chart=IntervalChart(
                title=f"{title}: {metric}" if metric else title,
                unit="",
                of=of,
                rows=rows,
                is_risk=is_risk,
                digits=3,
            ),
            means=measure.means,
            sample=_sample(known, of, has_bars=any(figure.low is not None for figure in several)),
            bound="" if bound is None else _bound(bound, is_risk=is_risk),
            how=tuple(dict.fromkeys(_how(figure) for figure in several)),
            is_measured=bool(known),
        )


def _sample(known: Sequence[tuple[str, int]], of: str, *, has_bars: bool) -> str:
    if not known:
        return "Not measured."
    bars = " Bars: 95 % intervals." if has_bars else " There is too little data for an interval."
    return f"Measured on {words.listed([f'{words.counted(units, of)} ({name})' for name, units in known])}.{bars}"


def _how(figure: MeasuredFigure) -> str:
    if figure.how == f"Not measured. {WHEN_ASKED}":
        return "Not measured. It takes minutes, so it is not done on a page; ask the operator to measure it."
    return figure.how


def _bound(figure: MeasuredFigure, *, is_risk: bool) -> str:
    held = "met" if figure.verdict == "pass" else "not met"
    return f"To be released, a model needs at {'most' if is_risk else 'least'} {figure.bound:g}: {held}."
