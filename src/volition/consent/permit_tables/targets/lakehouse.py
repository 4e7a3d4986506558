"""Targets that are lakehouse tables: Delta, by delta-rs, and Iceberg, by pyiceberg and a catalog.

Each writing is a commit, so whoever reads has one version of a table. Older versions are let go: nothing in them may be
read once they have run out, and what was erased must not stay.
"""

import time
import warnings
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.fs

from volition.consent.permit_tables.targets.target import Write
from volition.errors import BackendError, InvalidInputError, require_extra

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_KEPT_HOURS: Final = 1
_TIDIED_EVERY: Final = 200  # commits

_DELTA: Final = {
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": f"interval {_KEPT_HOURS} hours",
    "delta.deletedFileRetentionDuration": f"interval {_KEPT_HOURS} hours",
}


_ICEBERG_KEPT_S: Final = 120.0
"""How old a version is that nobody reads any more: a table holds for ten seconds, and a query for some more."""

_ICEBERG_TIDIED_EVERY: Final = 25  # commits: each rewrites metadata that lists every version
_ICEBERG: Final = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
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


def iceberg_tables(place: str) -> Write:
    """Return what replaces the Iceberg tables `volition_permits` and `volition_permits_state` of a namespace.

    Args:
        place: The catalogue, as pyiceberg's own configuration calls it, and the namespace: "prod.consent".

    Raises:
        InvalidInputError: No namespace is named.
        MissingExtraError: pyiceberg is not installed.
        BackendError: The catalogue cannot be reached.
    """
    require_extra("pyiceberg", what="A table of permits in Iceberg")
    from pyiceberg.catalog import load_catalog  # noqa: PLC0415 - the extra
    from pyiceberg.exceptions import NamespaceAlreadyExistsError  # noqa: PLC0415
    from pyiceberg.utils.config import Config  # noqa: PLC0415

    name, _, namespace = place.partition(".")
    if not name or not namespace:
        raise InvalidInputError(
            f"{place!r} is no place in Iceberg. Name the catalogue and the namespace: prod.consent."
        )
    try:
        properties = {key: str(one) for key, one in (Config().get_catalog_config(name) or {}).items()}
        catalog = load_catalog(name, **properties)
        catalog.create_namespace_if_not_exists(namespace)
    except NamespaceAlreadyExistsError:  # somebody else was first
        pass
    except Exception as error:  # each catalogue has errors of its own, of several packages
        raise BackendError(f"The catalogue {name} of Iceberg cannot be used: {error}.") from error
    tables: dict[str, Table] = {}
    commits: dict[str, int] = {}

    def write(table_name: str, rows: pa.Table) -> None:
        where = f"{namespace}.{table_name}"
        try:
            table = tables.setdefault(where, _iceberg_table(catalog, where, rows.schema)).refresh()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there was nothing to delete
                table.overwrite(rows)
            commits[where] = commits.get(where, 0) + 1
            if commits[where] % _ICEBERG_TIDIED_EVERY == 1:
                _tidy(table)
        except Exception as error:  # as above
            tables.pop(where, None)
            raise BackendError(f"{where} could not be written: {error}. It runs out by itself.") from error

    return write


def _iceberg_table(catalog: "Catalog", where: str, schema: pa.Schema) -> "Table":
    return catalog.create_table_if_not_exists(where, schema, properties=_ICEBERG)


def _tidy(table: "Table") -> None:
    """Let go of versions that nobody reads any more, and remove the files that only they needed.

    The folder is this table's alone, and nobody else writes to it.
    """
    oldest_ms = (time.time() - _ICEBERG_KEPT_S) * 1000
    old = [one.snapshot_id for one in table.metadata.snapshots if one.timestamp_ms < oldest_ms]
    old = [one for one in old if one != table.metadata.current_snapshot_id]
    if old:
        table.maintenance.expire_snapshots().by_ids(old).commit()
    table.refresh()
    needed = {table.metadata_location, *(one.metadata_file for one in table.metadata.metadata_log)}
    for snapshot in table.metadata.snapshots:
        needed.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            needed.add(manifest.manifest_path)
            needed |= {one.data_file.file_path for one in manifest.fetch_manifest_entry(table.io)}
    io: Any = table.io
    if not hasattr(io, "fs_by_scheme"):  # its files are not reached by Arrow: the catalogue's owner tidies
        return
    scheme, host, root = io.parse_location(table.location())
    system = io.fs_by_scheme(scheme, host)
    kept = {io.parse_location(one)[2] for one in needed}
    for one in system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True)):
        if one.type == pyarrow.fs.FileType.File and one.path not in kept and one.mtime.timestamp() * 1000 < oldest_ms:
            system.delete_file(one.path)
