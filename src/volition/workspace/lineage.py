"""Lineage for others (OpenLineage): collecting, freezing, training and forgetting as events, read from the log.

    lineage = Lineage(workspace.ledger, workspace.origin, to="lineage.jsonl")          # or "https://marquez.example"
    done = lineage.emit(after=0)                                     # the entry to go on from

Each entry of the log that made or undid data is one event, and its run id follows from the log's name and the entry's
number: sent twice, it is the same event. Nothing in an event names a person or an account: names of training sets and
models, digests and counts.
"""

# ruff: noqa: PLC0415 - the client is not for everybody

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from volition.canonical import us_to_text
from volition.errors import BackendError, require_extra
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

PRODUCER: Final = "https://pypi.org/project/volition"
KINDS: Final = ("collect", "snapshot", "model", "forgetting")
"""The entries that become events."""

_JOBS: Final = {"collect": "collect", "snapshot": "snapshot", "model": "train", "forgetting": "forget"}


class Lineage:
    """Sends what happened to data to whoever keeps lineage."""

    def __init__(self, ledger: Ledger, origin: str, *, to: str | None = None) -> None:
        """Connect.

        Args:
            ledger: The log.
            origin: Its name, which is the namespace of all that happens in it.
            to: An address of a server that takes OpenLineage over HTTP, or a file that lines of JSON are added to; by
                default as OpenLineage's own settings say (openlineage.yml, OPENLINEAGE_URL).

        Raises:
            BackendError: openlineage-python is not installed.
        """
        require_extra("openlineage", what="Lineage")
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        self._ledger = ledger
        self._origin = origin
        if to is None:
            self._client = OpenLineageClient()
        elif to.startswith(("http://", "https://")):
            self._client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=to)))
        else:
            self._client = OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=to, append=True)))

    def emit(self, *, after: int = 0) -> int:
        """Send the events of the log from an entry on.

        Args:
            after: How many entries were sent before: the first one is the entry of this number.

        Returns:
            How many entries the log has: what `after` is the next time.

        Raises:
            BackendError: An event could not be sent. Those before it were: begin again where you began.
        """
        size = self._ledger.size
        for event in events(self._ledger.entries(after, size), self._origin):
            try:
                self._client.emit(event)
            except Exception as error:  # whatever a transport raises
                raise BackendError(f"The lineage of {event.job.name} could not be sent: {error}") from error
        return size


def events(entries: Iterable[Entry], origin: str) -> "Iterator[RunEvent]":
    """Yield the events of some entries of the log of a name."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState

    for entry in entries:
        if entry.kind in KINDS:
            inputs, outputs = _datasets(entry, origin)
            yield RunEvent(
                eventType=RunState.COMPLETE,
                eventTime=us_to_text(entry.at_us),
                run=Run(runId=str(uuid5(NAMESPACE_URL, f"{origin}/{entry.seq}"))),
                job=Job(namespace=origin, name=_JOBS[entry.kind]),
                inputs=inputs,
                outputs=outputs,
                producer=PRODUCER,
            )


def _datasets(entry: Entry, origin: str) -> tuple[list[Any], list[Any]]:
    """Return what an entry read and what it made."""
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import (
        dataset_version_dataset,
        lifecycle_state_change_dataset,
        output_statistics_output_dataset,
    )

    def version(of: str) -> dict[str, Any]:
        return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=of)}

    def read(name: str) -> InputDataset:
        return InputDataset(namespace=origin, name=name)

    body = entry.body
    match entry.kind:
        case "collect":
            counted = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=body["records"])
            made = OutputDataset(
                namespace=origin, name="lake", facets=version(body["root"]), outputFacets={"outputStatistics": counted}
            )
            return [], [made]
        case "snapshot":
            name = f"snapshots/{body['snapshot']}"
            return [read("lake")], [OutputDataset(namespace=origin, name=name, facets=version(body["manifest"]))]
        case "model":
            name = f"models/{body['model']}"
            made = OutputDataset(namespace=origin, name=name, facets=version(body["digest"]))
            return [read(f"snapshots/{body['snapshot']}")], [made]
        case _:
            gone = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(
                lifecycleStateChange=lifecycle_state_change_dataset.LifecycleStateChange.DROP
            )
            name = f"models/{body['model']}"
            dropped = OutputDataset(namespace=origin, name=name, facets={"lifecycleStateChange": gone})
            successor = body["successor"]
            return [read(f"models/{successor}")] if successor else [], [dropped]
