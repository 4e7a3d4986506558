"""A model of one's own: whatever code made it, what it wrote is kept as it is and named by digests.

    models/MODEL/model/settings.json   the parameters, and the digest of each file and reference (see `families.model`)
    models/MODEL/files/                what the training wrote, under its own names
    models/MODEL/record.json           what it was learnt from, as of any model

The ledger names the digest of `model/`, so it commits to every file and reference. Nothing in the files is opened or
executed here.
"""

import mmap
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from volition.canonical import canonical_json
from volition.errors import InvalidInputError, ProofError
from volition.learning.audit.owners import owner_of
from volition.learning.families.family import fold_of
from volition.learning.families.model import Model
from volition.learning.grades import CALLER
from volition.learning.train import Trained, keep
from volition.records.lake import Row
from volition.records.snapshot import Snapshot

FILES: Final = "files"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a training wrote elsewhere, such as an object in a bucket or a model version in a registry.

    Attributes:
        uri: Where it lies, such as "s3://models/churn.pt" or "models:/churn/3".
        sha256: Its digest, 64 lower-case hexadecimal digits, by which anyone who fetches it can compare.
    """

    uri: str
    sha256: str

    def __post_init__(self) -> None:
        """Refuse a reference that nobody could follow or compare.

        Raises:
            InvalidInputError: The address is empty, too long or no line, or the digest is none.
        """
        if not 1 <= len(self.uri) <= _LONGEST or not self.uri.isprintable() or self.uri != self.uri.strip():
            raise InvalidInputError(f"{self.uri!r} is no address: one line of at most {_LONGEST} characters.")
        if not _DIGEST.fullmatch(self.sha256):
            raise InvalidInputError(f"{self.sha256!r} is no SHA-256: 64 lower-case hexadecimal digits.")


def is_held_out(owner: str, held_out: int) -> bool:
    """Return whether somebody's rows are kept from training: those of one person in `held_out`, in every process.

    Args:
        owner: A pseudonym; of a row that is about no person, its record id.
        held_out: One in how many; 0 for none.
    """
    return held_out > 0 and fold_of(owner, held_out) == 0


def own_model(  # noqa: PLR0913 - what there is to say of it
    name: str,
    *,
    files: Mapping[str, Path],
    references: Mapping[str, Reference],
    parameters: Mapping[str, Any],
    held_out: int,
    instead_of: str | None,
) -> Model:
    """Describe what a training wrote.

    Args:
        name: The training's name.
        files: What it wrote, by relative name.
        references: What it wrote elsewhere, by name.
        parameters: JSON values that it was trained with. They go into every bundle: nothing personal belongs there.
        held_out: One in how many people was kept from it; 0 for nobody.
        instead_of: The model whose place it was made to take; none where it was made anew.

    Raises:
        InvalidInputError: It wrote nothing, or a parameter is no JSON.
    """
    if not files and not references:
        raise InvalidInputError(f"The training {name} wrote nothing. Write into `run.folder`, or name it: `run.refer`.")
    settings = {
        "trained_by": CALLER,
        "parameters": dict(parameters),
        "files": {each: {"sha256": _digest_of(path), "bytes": path.stat().st_size} for each, path in files.items()},
        "references": {each: {"uri": one.uri, "sha256": one.sha256} for each, one in references.items()},
        "held_out": held_out,
        "instead_of": instead_of,
    }
    canonical_json(settings)  # raises InvalidInputError for what is no JSON
    return Model(family=name, settings=settings, arrays={}, texts={})


def keep_own(model: Model, snapshot: Snapshot, *, models: Path, files: Mapping[str, Path]) -> Trained:
    """Put a model of one's own in its folder with all its files, whole or not at all; they may exceed memory.

    Raises:
        BackendError: The disk is full or cannot be written.
    """
    with ExitStack() as stack:
        besides = {f"{FILES}/{name}": _mapped(path, stack) for name, path in files.items()}
        return keep(model, snapshot, models=models, besides=besides)


def _mapped(path: Path, stack: ExitStack) -> bytes | memoryview:
    if not path.stat().st_size:
        return b""
    opened = stack.enter_context(path.open("rb"))
    mapped = stack.enter_context(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    return stack.enter_context(memoryview(mapped))


def written_in(folder: Path) -> dict[str, Path]:
    """Return what a training wrote into its folder, by relative name, in order.

    Raises:
        InvalidInputError: There is a link or something else that is no plain file.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidInputError(f"{name} is no plain file, so it cannot be kept with the model. Write a file.")
        if path.is_file():
            found[name] = path
    return found


def check_own(trained: Trained) -> Mapping[str, Path]:
    """Return the files of a model of one's own by their names, each compared with its digest.

    Raises:
        ProofError: One is missing or was changed after the training.
    """
    found: dict[str, Path] = {}
    for name, known in trained.model.settings[FILES].items():
        path = trained.folder / FILES / name
        try:
            is_whole = path.stat().st_size == known["bytes"] and _digest_of(path) == known["sha256"]
        except OSError:
            is_whole = False
        if not is_whole:
            msg = (
                f"{name} of model {trained.id} was changed after it was trained, or is gone. Restore it from a backup."
            )
            raise ProofError(msg)
        found[name] = path
    return found


def is_kept_apart(row: Row, held_out: int) -> bool:
    """Say whether a row is kept from training: all rows of a person are, or none."""
    return is_held_out(owner_of(row) or row.record_id, held_out)


def split(rows: Sequence[Row], held_out: int) -> tuple[list[Row], list[Row]]:
    """Return the rows to learn from, and those that are kept from training."""
    kept = [is_kept_apart(row, held_out) for row in rows]
    learnt = [row for row, is_kept in zip(rows, kept, strict=True) if not is_kept]
    return learnt, [row for row, is_kept in zip(rows, kept, strict=True) if is_kept]


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
