"""A finding's value and verdict follow from what it shows (docs/formats/release.md)."""

import math

from volition_formats.report import demand
from volition_formats.spellings import Object, is_count, is_number, same, words

AUDITS = ("benefit", "fairness", "attack", "canary", "poisoning")
FINDING = set(words("audit metric value low high bound verdict units how detail"))


def close(one: float, other: float) -> bool:
    """The same number, as far as numbers are written."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def check_finding(one: Object, accounts: Object) -> None:
    """A finding's verdict and value follow from what it shows."""
    name = f"The finding {one['audit']}, {one['metric']},"
    demand(
        set(one) == FINDING and one["audit"] in AUDITS and isinstance(one["detail"], dict), f"{name} has another form."
    )
    told = isinstance(one["metric"], str) and isinstance(one["how"], str)
    demand(told and is_count(one["units"]), f"{name} has another form.")
    value, low, high, bound = (one[key] for key in ("value", "low", "high", "bound"))
    demand(all(x is None or is_number(x) for x in (value, low, high, bound)), f"{name} has another form.")
    verdict = "not measured" if value is None else "no bound" if bound is None else "fail"
    if value is not None and bound is not None and (value >= bound if one["audit"] == "benefit" else value <= bound):
        verdict = "pass"
    demand(one["verdict"] == verdict, f"{name} has the verdict {one['verdict']!r}, and it follows {verdict!r}.")
    if value is None:
        demand(
            low is None and high is None and same([one["units"], one["detail"]], [0, {}]), f"{name} was not measured."
        )
        return
    demand((low is None) == (high is None), f"{name} has half an interval.")
    if low is not None:
        within = one["audit"] == "fairness" or low - 1e-9 <= value <= high + 1e-9
        demand(low <= high and within, f"{name} has a value outside its interval.")
    follows = {"benefit": benefit, "fairness": fairness, "attack": attack, "canary": canary, "poisoning": poisoning}
    demand(follows[one["audit"]](one, accounts), f"{name} has a value that does not follow from its detail.")


def benefit(one: Object, accounts: Object) -> bool:
    """Value = trained - untrained, in all and for each account."""
    detail = one["detail"]
    parts = list(detail["by_account"].values())
    units = sum(part["units"] for part in parts)
    return (
        set(detail["by_account"]) <= set(accounts)
        and all(
            close(part["value"], part["trained"] - part["untrained"])
            for part in [*parts, {**detail, "value": one["value"]}]
        )
        and all(is_count(part["units"]) for part in parts)
        and units == one["units"] > 0
        and close(one["value"] * units, sum(part["value"] * part["units"] for part in parts))
    )


def fairness(one: Object, _: Object) -> bool:
    """Value = the best group less the worst."""
    detail = one["detail"]
    shown = [group for name, group in detail["groups"].items() if name != "not recorded"]
    best, worst = (pick(group["value"] for group in shown) for pick in (max, min))
    ratio = worst / best if worst >= 0 and best > 0 else None
    sizes = [group["units"] if group["people"] is None else group["people"] for group in detail["groups"].values()]
    told = detail["ratio"]
    return (
        close(one["value"], best - worst)
        and (told is None if ratio is None else is_number(told) and close(told, ratio))
        and sum(group["units"] for group in shown) == one["units"]
        and min(sizes) == detail["smallest"] >= detail["fewest"]
        and one["metric"].endswith(f" by {detail['by']}")
    )


def attack(one: Object, _: Object) -> bool:
    """Value = the curve at the rate that the metric names."""
    detail = one["detail"]
    rate, curve = detail["false_positive_rate"], detail["curve"]
    rates = [float(key) for key in curve]
    heights = list(curve.values())
    at = [height for key, height in curve.items() if float(key) == rate]
    named = one["metric"] == f"TPR at {100 * rate:g} % FPR"
    return (
        named
        and rates == sorted(rates)
        and all(map(is_number, heights))
        and heights == sorted(heights)
        and all(close(height, one["value"]) for height in at)
    )


def canary(one: Object, _: Object) -> bool:
    """Value = the mean exposure of what one person wrote."""
    detail = one["detail"]
    first = detail["by_writers"]["1"]
    ranks = first["ranks"]
    exposure = sum(math.log2(detail["secrets"]) - math.log2(rank) for rank in ranks) / len(ranks)
    exact = all(same(one[key], first[key]) for key in ("value", "low", "high"))
    return exact and all(map(is_number, ranks)) and len(ranks) == one["units"] and close(one["value"], exposure)


def poisoning(one: Object, _: Object) -> bool:
    """Value = 0, or that of whoever stands out the most."""
    parties, left_out, value = one["detail"]["parties"], one["detail"]["left_out"], one["value"]
    shown = isinstance(parties, list) and is_count(left_out) and len(parties) <= left_out
    return shown and (value == 0 or close(value, parties[0]["z"]))


def missed_bounds(card: Object) -> list[str]:
    """The sentences on the bounds that are missed."""

    def figure(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.3f}"

    missed = []
    for one in card["findings"]:
        if one["verdict"] == "fail":
            value, bound, low, high = (figure(one[key]) for key in ("value", "bound", "low", "high"))
            interval = f"(95 % interval {low} to {high}, {one['units']} units)"
            missed.append(f"{one['audit']}, {one['metric']}: {value} misses the bound {bound} {interval}.")
    for audit in card["required"]:
        own = [one for one in card["findings"] if one["audit"] == audit]
        if all(one["value"] is None for one in own):
            why = "; ".join(dict.fromkeys(one["how"] for one in own)) or "It was not run."
            missed.append(f"{audit} is required and could not be measured. {why}")
    return missed
