"""Trainings of audits, each kept until the audit is done: a killed audit is run again and trains none of them twice.

An audit trains many models to measure one: on folds, on halves of the people, without a party. What each of them is
follows from the rows that it learned from alone, and so does the name under which it is kept. A model without some rows
is the same to the byte whether it forgot them or never saw them, so both ways share a name.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec
import numpy as np

from volition.learning.families.family import Family, NoParts, Parts, part_name
from volition.learning.families.model import Model
from volition.progress import silent
from volition.records.lake import Row


def learn(family: Family, rows: Sequence[Row], *, parts: Parts) -> Model:
    """Return what a family learns from some rows, kept or trained now.

    Raises:
        InvalidInputError: The rows do not hold enough to learn from.
    """
    name = _name(family, rows)
    model = _kept(name, parts)
    return model or _keep(name, family.fit(rows, parts=NoParts(), progress=silent), parts)


def unlearn(family: Family, model: Model, *, before: Sequence[Row], after: Sequence[Row], parts: Parts) -> Model:
    """Return a model without the rows that `after` lacks, kept or forgotten now (see `Family.forget`).

    Raises:
        InvalidInputError: Too little is left to learn from.
    """
    name = _name(family, after)
    found = _kept(name, parts)
    if found is not None:
        return found
    return _keep(name, family.forget(model, before=before, after=after, parts=NoParts(), progress=silent), parts)


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
