"""Targets that are lakehouse tables: Delta, by delta-rs, and Iceberg, by pyiceberg and a catalog.

Each writing is a commit, so whoever reads has one version of a table. Older versions are let go: nothing in them may be
read once they have run out, and what was erased must not stay.
"""

from typing import Final

import pyarrow as pa

from volition.consent.permit_tables.targets.target import Write
from volition.errors import BackendError, require_extra

_KEPT_HOURS: Final = 1
_TIDIED_EVERY: Final = 200  # commits

_DELTA: Final = {
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": f"interval {_KEPT_HOURS} hours",
    "delta.deletedFileRetentionDuration": f"interval {_KEPT_HOURS} hours",
}


def delta_tables(place: str) -> Write:
    """Return what replaces the Delta tables `volition_permits` and `volition_permits_state` below a folder or URL.

    Raises:
        MissingExtraError: delta-rs is not installed.
    """
    require_extra("deltalake", what="A table of permits in Delta")
    import deltalake  # noqa: PLC0415 - the extra
    from deltalake.exceptions import DeltaError  # noqa: PLC0415

    commits = 0

    def write(name: str, table: pa.Table) -> None:
        nonlocal commits
        where = f"{place.rstrip('/')}/{name}"
        try:
            deltalake.write_deltalake(where, table, mode="overwrite", schema_mode="overwrite", configuration=_DELTA)
            commits += 1
            if commits % _TIDIED_EVERY == 1:
                deltalake.DeltaTable(where).vacuum(_KEPT_HOURS, dry_run=False, enforce_retention_duration=False)
        except (DeltaError, OSError) as error:
            raise BackendError(f"{where} could not be written: {error}. It runs out by itself.") from error

    return write
