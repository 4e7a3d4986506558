"""Trainings of audits, each kept until the audit is done: a killed audit is run again and trains none of them twice.

An audit trains many models to measure one: on folds, on halves of the people, without a party. What each of them is
follows from the rows that it learned from alone, and so does the name under which it is kept. A model without some rows
is the same to the byte whether it forgot them or never saw them, so both ways share a name.

These rows differ little from one training to the next. What a family computed last from a few of them is therefore
remembered, in memory and no longer than the audit lasts.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec
import numpy as np

from volition.learning.families.family import Family, NoParts, Parts, RecentParts, part_name
from volition.learning.families.model import Array, Model
from volition.progress import silent
from volition.records.lake import Row

_REMEMBERED_BYTES: Final = 96 << 20  # the sums of some twenty meetings, or more of anything else


class AuditParts:
    """Where the models of audits are kept, and beside it what the families that learn them computed last."""

    def __init__(self, models: Parts) -> None:
        """Keep models where it is said, and remember nothing yet."""
        self._models = models
        self.work = RecentParts(_REMEMBERED_BYTES)

    def get(self, name: str) -> Mapping[str, Array] | None:
        """Return a model's files that were kept, or none."""
        return self._models.get(name)

    def put(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep a model's files."""
        self._models.put(name, arrays)


def learn(family: Family, rows: Sequence[Row], *, parts: Parts) -> Model:
    """Return what a family learns from some rows, kept or trained now.

    Raises:
        InvalidInputError: The rows do not hold enough to learn from.
    """
    name = _name(family, rows)
    model = _kept(name, parts)
    return model or _keep(name, family.fit(rows, parts=_work(parts), progress=silent), parts)


def unlearn(family: Family, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts) -> Model:
    """Return a model without the rows that `after` lacks, kept or forgotten now (see `Family.forget`).

    Raises:
        InvalidInputError: Too little is left to learn from.
    """
    name = _name(family, after)
    found = _kept(name, parts)
    if found is not None:
        return found
    return _keep(name, family.forget(model, before=before, after=after, parts=_work(parts), progress=silent), parts)


def _work(parts: Parts) -> Parts:
    """Return where a family keeps its steps: a training of an audit is short, so none outlives it on a disk."""
    return parts.work if isinstance(parts, AuditParts) else NoParts()


def _name(family: Family, rows: Iterable[Row]) -> str:
    """Name a model by all that it learns from, also from rows that an audit made up."""
    encode = msgspec.json.Encoder(order="deterministic").encode
    whole = sha256()
    for row in rows:
        parts = [row.account, row.record_id, row.people, row.category, row.collected_us, row.payload]
        said = encode([*parts, row.merged] if row.merged else parts)  # who was merged since is counted otherwise
        whole.update(len(said).to_bytes(8) + said)
    return part_name(f"audit-{family.name}", whole.digest())


def _kept(name: str, parts: Parts) -> Model | None:
    files = parts.get(name)
    return None if files is None else Model.from_files({file: data.tobytes() for file, data in files.items()})


def _keep(name: str, model: Model, parts: Parts) -> Model:
    parts.put(name, {file: np.array(bytearray(data), dtype=np.uint8) for file, data in model.files().items()})
    return model
