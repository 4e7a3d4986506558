"""What a log says of snapshots and models: each is named once, and what is forgotten stays so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from volition.errors import ProofError
from volition.learning.registry import ModelState, models_in
from volition.ledger.entry import Entry
from volition.transparency.verify import forms
from volition.transparency.verify.bodies import check_party


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The models of a log whose lives were checked.

    Attributes:
        states: Each model, by id, oldest first.
        releases: The entries that released each, oldest first.
        succeeding: The places of the entries by which a forgetting put a model's successor in its place, in one step,
            each with the snapshot of the model that was forgotten: where the successor's lies within that, they rest on
            rows as these were judged when it was entered.
        replacing: The forgettings by which each took another's place in no such step, oldest first.
    """

    states: dict[str, ModelState]
    releases: dict[str, list[Entry]]
    succeeding: Mapping[int, str] = field(default_factory=dict)
    replacing: Mapping[str, Sequence[Entry]] = field(default_factory=dict)

    @property
    def working(self) -> list[ModelState]:
        """Those that have not been forgotten."""
        return [model for model in self.states.values() if model.forgotten_us is None]

    def __str__(self) -> str:
        """Say what was found."""
        forgotten = len(self.states) - len(self.working)
        return f"{len(self.states)} models, {forgotten} of them forgotten; each snapshot and model is named once"


def read_models(entries: Sequence[Entry]) -> Models:
    """Check the lives of all snapshots and models that a log names.

    Raises:
        ProofError: A name stands for two things, something is said of a model that is not there, or one that was
            forgotten is released, forgotten or trained again.
    """
    named: dict[tuple[str, str], Entry] = {}
    releases: dict[str, list[Entry]] = {}
    forgotten: dict[str, Entry] = {}
    succeeding: dict[int, str] = {}
    replacing: dict[str, list[Entry]] = {}
    for place, entry in enumerate(entries):
        match entry.kind:
            case "snapshot":
                _name(named, entry)
            case "model":
                _name(named, entry)
                _check_trained(named, forgotten, entry)
            case "release":
                model = _known(named, entry)
                if model in forgotten:
                    raise ProofError(f"Entry {entry.seq}: the model {model} was forgotten, then released.")
                releases.setdefault(model, []).append(entry)
            case "forgetting":
                model = _known(named, entry)
                if model in forgotten:
                    raise ProofError(f"Entry {entry.seq}: the model {model} was forgotten twice.")
                _check_successor(named, forgotten, entry)
                _check_parties(entry)
                forgotten[model] = entry
                frozen = named["model", model].body["snapshot"]
                steps = _succession(entries[max(0, place - 2) : place], entry, releases)
                succeeding.update({step.seq: frozen for step in steps})
                if not steps and entry.body["successor"] is not None:
                    replacing.setdefault(entry.body["successor"], []).append(entry)
    return Models(states=models_in(entries), releases=releases, succeeding=succeeding, replacing=replacing)


def _succession(before: Sequence[Entry], forgetting: Entry, releases: dict[str, list[Entry]]) -> Sequence[Entry]:
    """Return the two entries right before a forgetting that make and release its successor.

    None where the forgotten model was never released: nothing had to be kept at work.
    """
    successor = forgetting.body["successor"]
    made = [entry.kind for entry in before if entry.body.get("model") == successor]
    if made == ["model", "release"] and releases.get(forgetting.body["model"]):
        return before
    return ()


def _name(named: dict[tuple[str, str], Entry], entry: Entry) -> None:
    """Give a name its entry; the same entry again says nothing new."""
    name = _text(entry, entry.kind)
    first = named.setdefault((entry.kind, name), entry)
    if not forms.same(first.body, entry.body):
        raise ProofError(
            f"The {entry.kind} {name} is named twice, by the entries {first.seq} and {entry.seq}, as two different "
            "things: what is proved of one would be told of the other."
        )


def _check_trained(named: dict[tuple[str, str], Entry], forgotten: dict[str, Entry], entry: Entry) -> None:
    model, snapshot = _text(entry, "model"), _text(entry, "snapshot")
    if model in forgotten:
        raise ProofError(f"Entry {entry.seq}: the model {model} was forgotten, then trained again.")
    if ("snapshot", snapshot) not in named:
        raise ProofError(
            f"Entry {entry.seq}: the model {model} learned from {snapshot}, a snapshot that is not in the log before "
            "it."
        )
    if not _text(entry, "family"):
        raise ProofError(f"Entry {entry.seq}: the model {model} has no family.")
    forms.from_hex(entry.body["digest"], f"Entry {entry.seq}: the digest of the model {model}")


def _known(named: dict[tuple[str, str], Entry], entry: Entry) -> str:
    model = _text(entry, "model")
    if ("model", model) not in named:
        raise ProofError(f"Entry {entry.seq} is a {entry.kind} of {model}, a model that is not in the log before it.")
    return model


def _check_successor(named: dict[tuple[str, str], Entry], forgotten: dict[str, Entry], entry: Entry) -> None:
    model = _text(entry, "model")
    if entry.body["successor"] is None:
        return
    successor = _text(entry, "successor")
    if ("model", successor) not in named or successor == model:
        raise ProofError(f"Entry {entry.seq}: the successor of {model}, {successor}, does not exist.")
    if successor in forgotten:
        raise ProofError(f"Entry {entry.seq}: the successor of {model}, {successor}, was forgotten before.")


def _check_parties(entry: Entry) -> None:
    parties = entry.body["parties"]
    if not isinstance(parties, list):
        raise ProofError(f"Entry {entry.seq}, a forgetting, does not say who refused.")
    try:
        for party in parties:
            check_party(party, "parties, who refused,")
    except ProofError as error:
        raise ProofError(f"Entry {entry.seq}, a forgetting: {error}") from error


def _text(entry: Entry, name: str) -> str:
    return forms.text(entry.body[name], f"Entry {entry.seq}: the {name} of this {entry.kind}")
