"""The model card that model hubs show: README.md with front matter and the sections that people look for.

The front matter is written as JSON values, each of which is YAML.

Source: https://huggingface.co/docs/hub/model-cards, and the sections of Mitchell et al. 2019, arXiv:1810.03993.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from volition.learning.documents.facts import UNKNOWN, Facts

_TASKS: Final[Mapping[str, str]] = {  # as the hub names what a model is for; others have no name there
    "search": "text-ranking",
    "summary": "summarization",
    "compose": "text-generation",
    "adapter": "text-generation",
}


def model_card(facts: Facts) -> bytes:
    """Return the README.md of a release."""
    front = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in _front_matter(facts).items()]
    return "\n".join(["---", *front, "---", "", *_sections(facts)]).encode()


def _front_matter(facts: Facts) -> dict[str, Any]:
    card = facts.card
    front: dict[str, Any] = {
        "license": facts.controller.license or "other",
        "library_name": "volition",
        "tags": ["volition", card["family"], "consent"],
        "datasets": [card["learned_from"]["snapshot"]],
        "metrics": sorted({found["metric"] for found in facts.measured}),
        "model-index": [{"name": card["model"], "results": _results(facts)}],
    }
    if facts.controller.language is not None:
        front["language"] = [facts.controller.language.partition("-")[0]]
    if card["family"] in _TASKS:
        front["pipeline_tag"] = _TASKS[card["family"]]
    if card.get("base") is not None:
        front["base_model"] = card["base"]["name"]
    return front


def _results(facts: Facts) -> list[dict[str, Any]]:
    card = facts.card
    task = {"type": _TASKS.get(card["family"], "other"), "name": facts.title}
    dataset = {"type": card["learned_from"]["snapshot"], "name": card["learned_from"]["snapshot"]}
    return [
        {
            "task": task,
            "dataset": dataset,
            "metrics": [{"type": found["metric"], "name": found["audit"], "value": found["value"]}],
        }
        for found in facts.measured
    ]


def _sections(facts: Facts) -> Iterator[str]:
    card, learned = facts.card, facts.card["learned_from"]
    yield from (f"# {card['model']}", "", f"{facts.title}. {facts.does}", "")
    yield from ("## Intended use", "")
    yield f"For `{card['purpose']}` in the service of {facts.provider}, and for nothing else."
    yield from ("", "**Out of scope**: any other purpose, and decisions about people with legal effect.", "")
    yield from ("## Limits", "", *(f"- {limit}" for limit in facts.limits()), "")
    yield from ("## Languages", "")
    yield "Those in which people wrote and spoke; which these are is not recorded."
    if facts.controller.language is not None:
        yield f"The terms and notices are in `{facts.controller.language}`."
    yield from ("", "## How to use", "", *_use(facts), "")
    yield from ("## Training data", "")
    yield f"Snapshot `{learned['snapshot']}`: {learned['people']} people in {len(learned['accounts'])} organisations."
    yield from ("", "| category | records |", "|---|---:|")
    yield from (f"| {category} | {kept} |" for category, kept in facts.kept.items())
    yield from ("", f"Each record was permitted when it was used. {facts.forgetting()}", "")
    yield from ("## Evaluation", "", "| audit | measure | value | 95 % interval | bound | verdict |")
    yield "|---|---|---:|---|---:|---|"
    yield from (_row(found) for found in facts.measured)
    yield from ("", "## Privacy", "", _privacy(card), "")
    yield from ("## Contact", "", facts.controller.contact or UNKNOWN, "")


def _use(facts: Facts) -> Iterator[str]:
    command = facts.spec.command if facts.spec is not None else ""
    yield "In the workspace that released it:"
    yield from ("", "```sh", f"volition {command} --help" if command else "volition families", "```", "")
    yield "Check the files before you use them anywhere; `model.pub` is the key that the card names:"
    yield from ("", "```sh", "model_signing verify key model --signature model.sig --public_key model.pub", "```")


def _row(found: Mapping[str, Any]) -> str:
    interval = "-" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    bound = "-" if found["bound"] is None else f"{found['bound']:.3f}"
    cells = (found["audit"], found["metric"], f"{found['value']:.3f}", interval, bound, found["verdict"])
    return f"| {' | '.join(cells)} |"


def _privacy(card: Mapping[str, Any]) -> str:
    claimed = card.get("privacy")
    if claimed is None:
        return "Not trained with differential privacy. What it reveals of single people is measured, see above."
    return (
        f"Differentially private training: epsilon {claimed['epsilon']:.3f} at delta {claimed['delta']:g} for "
        f"{claimed['unit']}; {claimed['mechanism']}. The card has every item of the claim and what it does not cover."
    )
