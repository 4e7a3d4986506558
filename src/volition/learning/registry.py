"""The model registry: every model that was trained, and the state of each, as the ledger says it.

Which models there are, which is at work and which were forgotten is kept nowhere else, so there is nothing that could
say otherwise than the ledger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from volition.errors import ProofError
from volition.learning.grades import FAMILY
from volition.ledger.entry import Entry

DUE_DAYS: Final = 30
"""Within how many days after a no a model is to forget whose entry does not say: it is from before entries said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What the ledger says of a model.

    Attributes:
        id: The model's name.
        family: Its family.
        snapshot: The snapshot it learned from.
        trained_us: When its training was recorded.
        due_days: Within how many days after a no its operator promised, then, that it forgets.
        forgets: How surely it forgets, one of `grades.Grade`; none where its entry is from before entries said so.
        trained_by: `grades.FAMILY`, or `grades.CALLER` where code of the operator's own trained it.
        released_us: When it was last released; none if never.
        released_seq: Place of that release in the ledger: of two at one instant, the later one.
        card: Digest of that release's card.
        attestation: Digest of that release's attestation.
        override: Who released it beyond its bounds, and why; none if it held them.
        forgotten_us: When it was forgotten, and so retired; none if it was not.
        successor: The model that took its place; none if none did.
    """

    id: str
    family: str
    snapshot: str
    trained_us: int
    due_days: int = DUE_DAYS
    forgets: str | None = None
    trained_by: str = FAMILY
    released_us: int | None = None
    released_seq: int = -1
    card: str = ""
    attestation: str = ""
    override: Mapping[str, str] | None = None
    forgotten_us: int | None = None
    successor: str | None = None


def models_in(entries: Iterable[Entry]) -> dict[str, ModelState]:
    """Return every model that the ledger names, by id, oldest first.

    A later entry never rewrites an earlier one: a model stays what it was named as first, and forgotten once it was.

    Raises:
        ProofError: A name stands for two models, or something is said of a model that the ledger does not name.
    """
    models: dict[str, ModelState] = {}
    for entry in entries:
        body = entry.body
        match entry.kind:
            case "model":
                _train(models, entry)
            case "release":
                state = _named(models, entry)
                if state.forgotten_us is None:
                    models[state.id] = replace(
                        state,
                        released_us=entry.at_us,
                        released_seq=entry.seq,
                        card=body["card"],
                        attestation=body["attestation"],
                        override=body.get("override"),
                    )
            case "forgetting":
                state = _named(models, entry)
                if state.forgotten_us is None:
                    models[state.id] = replace(state, forgotten_us=entry.at_us, successor=body["successor"])
    return models


def _train(models: dict[str, ModelState], entry: Entry) -> None:
    body = entry.body
    state = ModelState(
        id=body["model"],
        family=body["family"],
        snapshot=body["snapshot"],
        trained_us=entry.at_us,
        due_days=body.get("due_days", DUE_DAYS),
        forgets=body.get("forgets"),
        trained_by=body.get("trained_by", FAMILY),
    )
    known = models.setdefault(state.id, state)
    if (known.family, known.snapshot) != (state.family, state.snapshot):
        raise ProofError(
            f"Entry {entry.seq} names the model {state.id} again, as another one than before. Do not use it, and find "
            "out who wrote to the ledger."
        )


def _named(models: Mapping[str, ModelState], entry: Entry) -> ModelState:
    model = entry.body["model"]
    if model not in models:
        raise ProofError(
            f"Entry {entry.seq} is a {entry.kind} of {model}, a model that the ledger does not name. Find out who "
            "wrote to the ledger."
        )
    return models[model]


def at_work(models: Mapping[str, ModelState], family: str) -> ModelState | None:
    """Return the model of a family that is at work: the one released last, unless it was forgotten since."""
    released = [model for model in models.values() if model.family == family and model.released_us is not None]
    latest = max(released, key=lambda model: model.released_seq, default=None)
    return latest if latest is not None and latest.forgotten_us is None else None
