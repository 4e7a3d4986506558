"""Models of one's own beside MLflow: their snapshot, card and proofs with the run, and what they owe as tags.

    registry = MlflowRegistry(workspace.models, workspace.snapshots, workspace.log)
    registry.attach(model, name="churn", version=3)     # once, when the version is registered
    registry.set_alias("churn", 3, "champion")          # refused while the model may not work
    registry.sync()                                     # at a no, or every minute: tags, and the alias taken away

What it guarantees: `set_alias` gives no guarded alias to a version of which nothing is known here, that was not
released, that owes a forgetting or was forgotten; `sync` takes a guarded alias from each that came to be so. Whoever
sets aliases past it is caught by the next `sync`. Nothing that is written to MLflow names a person.
"""

# ruff: noqa: PLC0415 - mlflow is not for everybody, and takes seconds to load

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from volition.canonical import us_to_text
from volition.errors import BackendError, InvalidInputError, RefusedError, require_extra
from volition.learning.registry import ModelState
from volition.workspace.models import Models
from volition.workspace.public_log import PublicLog
from volition.workspace.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities.model_registry import ModelVersion

GUARDED: Final = ("champion",)
"""The aliases that only a model may have that may work."""

_TAG: Final = "volition."
_Answer = TypeVar("_Answer")
_DIGEST: Final = 36  # characters that MLflow allows the digest of a dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """A version whose tags were brought up to date.

    Attributes:
        name: The registered model's name.
        version: Its version.
        model: The model here.
        state: "fresh", "owed", "forgotten", or "trained" where it was not released.
        taken: The aliases that were taken away.
    """

    name: str
    version: str
    model: str
    state: str
    taken: tuple[str, ...]


class MlflowRegistry:
    """Keeps versions of MLflow's model registry as the ledger has them."""

    def __init__(
        self,
        models: Models,
        snapshots: Snapshots,
        log: PublicLog,
        *,
        uri: str | None = None,
        guarded: tuple[str, ...] = GUARDED,
    ) -> None:
        """Connect to MLflow.

        Args:
            models: The models.
            snapshots: What they learned from.
            log: The ledger, for its proofs.
            uri: Of the tracking server, such as "sqlite:///mlflow.db"; by default as MLflow's own settings say.
            guarded: The aliases that are guarded.

        Raises:
            BackendError: mlflow is not installed.
        """
        require_extra("mlflow", what="The connection to MLflow")
        from mlflow import MlflowClient

        self._client = _asked(lambda: MlflowClient(tracking_uri=uri, registry_uri=uri))
        self._models = models
        self._snapshots = snapshots
        self._log = log
        self._guarded = guarded

    def as_dataset(self, snapshot: str) -> "MetaDataset":
        """Return a snapshot as a dataset of MLflow, for `mlflow.log_input`: its name and digest, and no row.

        Raises:
            InvalidInputError: There is no such snapshot.
        """
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.meta_dataset import MetaDataset

        frozen = self._snapshots.open(snapshot)
        source = CodeDatasetSource(tags={"volition.snapshot": frozen.id, "volition.manifest": frozen.digest})
        return MetaDataset(source, name=frozen.id, digest=frozen.digest[:_DIGEST])

    def attach(self, model: str, *, name: str, version: int | str) -> Synced:
        """Say of a version that it is a model here: its snapshot becomes the run's dataset, its card an artefact.

        Args:
            model: The model's id here.
            name: The registered model's name in MLflow.
            version: Its version there.

        Raises:
            InvalidInputError: There is no such model, or the version is another model's.
            BackendError: MLflow failed or has no such version.
        """
        state = self._models.states().get(model)
        if state is None:
            raise InvalidInputError(f"There is no model {model!r}. `volition status` lists them.")
        found = _asked(lambda: self._client.get_model_version(name, str(version)))
        if found.tags.get(f"{_TAG}model", model) != model:
            raise InvalidInputError(f"Version {version} of {name} is {found.tags[f'{_TAG}model']} already.")
        if found.run_id:
            self._log_to(found.run_id, state)
        return self._sync(found, state, model, self._guarded_of(name).get(str(version), set()))

    def set_alias(self, name: str, version: int | str, alias: str) -> None:
        """Give a version an alias, if a model may work that is called so.

        Raises:
            RefusedError: The alias is guarded, and the model is not known here, was not released, owes a forgetting or
                was forgotten.
            BackendError: MLflow failed or has no such version.
        """
        found = _asked(lambda: self._client.get_model_version(name, str(version)))
        model = found.tags.get(f"{_TAG}model", "")
        if alias in self._guarded:
            state = self._models.states().get(model)
            said = "of no model here" if state is None else self._state_of(state)[0]
            if said != "fresh":
                raise RefusedError(f"Version {version} of {name} is {said}, so it is not to be {alias}.")
        _asked(lambda: self._client.set_registered_model_alias(name, alias, str(version)))

    def sync(self) -> list[Synced]:
        """Bring the tags of every attached version up to date, and take guarded aliases from what may not work.

        Raises:
            BackendError: MLflow failed.
        """
        models, done = self._models.states(), []
        for registered in _asked(lambda: _all_pages(self._client.search_registered_models)):
            search = self._client.search_model_versions
            versions = _asked(partial(_all_pages, search, f"name='{registered.name}'"))
            guarded = self._guarded_of(registered.name)
            for found in versions:
                model = found.tags.get(f"{_TAG}model", "")
                aliases = guarded.get(str(found.version), set())
                if model or aliases:
                    done.append(self._sync(found, models.get(model), model, aliases))
        return done

    def _guarded_of(self, name: str) -> dict[str, set[str]]:
        """Return the guarded aliases of each version. A search in a database gives versions without their aliases."""
        found: dict[str, set[str]] = {}
        for alias, version in _asked(lambda: self._client.get_registered_model(name)).aliases.items():
            if alias in self._guarded:
                found.setdefault(str(version), set()).add(alias)
        return found

    def _sync(self, found: "ModelVersion", state: ModelState | None, model: str, aliases: set[str]) -> Synced:
        """Tag a version; one of no model here only loses its aliases."""
        said, due = ("of no model here", "") if state is None else self._state_of(state)
        if state is not None:
            tags = {
                "model": state.id,
                "state": said,
                "due": due,
                "forgets": state.forgets or "",
                "snapshot": state.snapshot,
                "card": state.card,
                "successor": state.successor or "",
            }
            for tag, value in tags.items():
                if found.tags.get(_TAG + tag) != value:
                    version = str(found.version)
                    _asked(partial(self._client.set_model_version_tag, found.name, version, _TAG + tag, value))
        taken = () if said == "fresh" else tuple(sorted(aliases))
        for alias in taken:
            _asked(partial(self._client.delete_registered_model_alias, found.name, alias))
        return Synced(name=found.name, version=str(found.version), model=model, state=said, taken=taken)

    def _state_of(self, state: ModelState) -> tuple[str, str]:
        """Return a model's state in a word, and its due day where it owes."""
        if state.forgotten_us is not None:
            return "forgotten", ""
        owed = self._models.owed_by(state)
        if owed is not None:
            return "owed", us_to_text(owed.due_us)
        return ("trained" if state.released_us is None else "fresh"), ""

    def _log_to(self, run: str, state: ModelState) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        told = self.as_dataset(state.snapshot).to_dict()
        given = DatasetInput(dataset=Dataset(**told), tags=[InputTag(key="mlflow.data.context", value="training")])
        _asked(lambda: self._client.log_inputs(run, datasets=[given]))
        for name, text in self._proofs(state):
            _asked(partial(self._client.log_text, run, text, f"volition/{name}"))

    def _proofs(self, state: ModelState) -> list[tuple[str, str]]:
        """Return the card of a released model and its attestation, and the proof that its release is in the log."""
        if state.released_us is None or state.forgotten_us is not None:
            return []
        proof = self._log.prove(state.released_seq)
        return [
            *((name, self._models.release_file(state.id, name).decode()) for name in _FILES),
            ("release.tlog-proof", proof.to_text()),
        ]


_FILES: Final = ("card.json", "card.md", "attestation.json")


def _all_pages(search: "Callable[..., Any]", of: str = "") -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = search(filter_string=of, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _asked(ask: "Callable[[], _Answer]") -> _Answer:
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        said = json.loads(error.serialize_as_json()).get("message", "")
        raise BackendError(f"MLflow did not do it: {str(said).splitlines()[0]}") from error
    except ImportError as error:  # a registry in a database needs more than its client brings
        msg = (
            f"MLflow needs {error.name} for this address, which is not installed. Name a server, or: pip install mlflow"
        )
        raise BackendError(msg) from error
