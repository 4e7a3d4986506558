"""A revocation by Volition and by consentml, side by side: the same people, rows and noes. `python -m bench rival`.

consentml (0.2, MIT) is a decorator around a training function: it records whose rows a model was trained on, and
`revoke` tells which models learned from somebody, as an entry of a hash chain. It decides nothing and takes out nothing
by design: who trains leaves the rows out. Volition decides, freezes, trains and forgets.

Both get the same uses of 400 people of 4 accounts (`--rows` for fewer or more), train one model of which items go with
which, hear one no after another, in turns, and train again. Volition's no is heard by every process before it is
acknowledged; nobody else is running here. Each log is then robbed of its newest entry, as a copy on the disk, and asked
whether it notices. CPU seconds beside the wall clock; median, least and most.
"""

import argparse
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.meetings import machine
from volition.canonical import us_to_text
from volition.errors import InvalidInputError, ProofError
from volition.workspace import Workspace

PEOPLE: Final = 400
ACCOUNTS: Final = 4
USES_EACH: Final = 20
ITEMS: Final = 200
REVOKED: Final = 20
_CUT: Final = "notices that the newest no was cut off"
_DAY_US: Final = 86_400_000_000


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Let both hear the same noes.

    Raises:
        InvalidInputError: consentml is not installed.
    """
    try:
        import consentml  # noqa: PLC0415 - of the group `bench`
    except ImportError as error:
        raise InvalidInputError("consentml is not installed. Run `uv sync --group bench`.") from error
    people = PEOPLE if args.rows is None else max(args.rows // USES_EACH, 2 * REVOKED)
    uses = _uses(people)
    revoked = [f"p{number}" for number in range(0, people, people // REVOKED)][:REVOKED]
    with tempfile.TemporaryDirectory(prefix="volition-bench-") as name:
        folder = Path(name)
        rival = _Rival(consentml, folder / "lineage.db", uses)
        with _workspace(folder, people, uses) as workspace:
            trained = {
                "consentml": _timed(rival.train),
                "Volition, with freezing": _timed(lambda: workspace.models.train("recommend")),
            }
            ours, theirs, named, named_both = [], [], [], 0
            for person in revoked:
                theirs.append(_timed(partial(rival.revoke, person)))
                ours.append(_timed(partial(_refuse, workspace, person)))
                named.append(_timed(workspace.models.owed))
                named_both += bool(rival.named) and len(workspace.models.owed()) == 1
            theirs_shown, is_noticed = rival.proofs(folder, revoked[0]), _notices(folder)  # the newest entry is a no
            frozen = workspace.snapshots.create("train/recommend")
            gone = {workspace.parties.person(person).pseudonym for person in revoked}
            left_in = sum(not gone.isdisjoint(key.people) for key in frozen.keys)
            forgotten = _timed(workspace.forgetting.forget)
            proofs = _proofs(workspace, revoked[0])
        again = _timed(rival.train)
        figures = {
            "people": people,
            "rows": len(uses),
            "revocations": len(revoked),
            "a revocation, ms": {
                "consentml: revoke": _spread(theirs),
                "Volition: a no, acknowledged": _spread(ours),
                "Volition: the models that owe a forgetting": _spread(named),
            },
            "training, ms": {
                **{who: _in_ms(one) for who, one in trained.items()},
                "consentml, again, as its function stands": _in_ms(again),
                "Volition, forgetting all of them": _in_ms(forgotten),
            },
            "rows of the revoked in the next training": {
                "consentml, unless who calls it leaves them out": rival.rows_of(revoked),
                "Volition": left_in,
            },
            "proofs": {
                "consentml": theirs_shown,
                "Volition": proofs | {_CUT: is_noticed},
            },
        }
    goals: list[dict[str, Any]] = [
        {"name": "rows of the revoked in Volition's next training", "value": left_in, "at_most": 0},
        {"name": "noes after which both name the model", "value": named_both, "at_least": len(revoked)},
    ]
    for goal in goals:
        goal["met"] = goal["value"] <= goal["at_most"] if "at_most" in goal else goal["value"] >= goal["at_least"]
    return {"bench": "rival", "figures": figures, "goals": goals, "machine": machine()}


class _Rival:
    """consentml around a training function, as its own manual has it."""

    def __init__(self, consentml: Any, database: Path, uses: Sequence[tuple[str, str]]) -> None:  # noqa: ANN401 - a module
        import pandas as pd  # noqa: PLC0415 - consentml stands on it

        self._consentml, self._database = consentml, database
        self._frame = pd.DataFrame(uses, columns=["person", "item"])
        self.named: list[Any] = []
        source = consentml.DataFrameSource(self._frame, subject_id_col="person", label="uses")

        def train(frame: Any) -> Any:  # noqa: ANN401 - a frame, and an array
            counts = pd.crosstab(frame["person"], frame["item"]).to_numpy()
            self.trained_on = set(frame["person"])
            return counts.T @ counts

        self.train: Callable[[], object] = consentml.track(model_name="recommend", source=source, db_path=database)(
            train
        )

    def revoke(self, person: str) -> None:
        self.named = self._consentml.revoke(subject_id=person, db_path=self._database).affected_models

    def rows_of(self, people: Iterable[str]) -> int:
        return int(self._frame["person"].isin(self.trained_on & {*people}).sum())

    def proofs(self, folder: Path, person: str) -> dict[str, Any]:
        verify = self._consentml.verify_audit_log
        anchor = verify(db_path=self._database).head_hash
        copy = folder / "cut.db"
        shutil.copy(self._database, copy)
        with closing(sqlite3.connect(copy)) as cut, cut:
            cut.execute("DELETE FROM audit_log WHERE id = (SELECT max(id) FROM audit_log)")
        dossier = self._consentml.build_dossier(subject_id=person, db_path=self._database)
        return {
            "log": "a hash chain, unsigned",
            "a person's document": f"a dossier of {len(dossier.to_dict())} parts, which rests on its database",
            "shows offline that somebody was, or was not, learned from": False,
            _CUT: not verify(db_path=copy).ok,
            "notices it, where its head was written down elsewhere": not verify(db_path=copy, expected_head=anchor).ok,
        }


def _workspace(folder: Path, people: int, uses: Sequence[tuple[str, str]]) -> Workspace:
    workspace = Workspace.create(folder / "workspace", public_items=("document",))
    names = [f"a{number}" for number in range(ACCOUNTS)]
    workspace.people.import_accounts({"id": name, "region": "US"} for name in names)
    workspace.people.import_people({"id": f"p{number}", "account": f"a{number % ACCOUNTS}"} for number in range(people))
    for name in names:
        workspace.terms.accept(name)
        workspace.consent.decide(
            f"account:{name}", yes=True, data=["service"], purpose=["train/recommend"], covers="past"
        )
        rows = [one for one in uses if f"a{int(one[0][1:]) % ACCOUNTS}" == name]
        collected = workspace.records.collect_otlp(_written(folder / f"{name}.jsonl", name, rows, workspace.now_us))
        if collected.stored != len(rows):
            raise InvalidInputError(f"Of {len(rows)} uses {collected.stored} were collected: {collected.not_kept}.")
    return workspace


def _uses(people: int) -> list[tuple[str, str]]:
    """Return who used what: few items are used by many and many by few."""
    draw = np.random.default_rng(7)
    weights = 1 / np.arange(1, ITEMS + 1) ** 0.9
    return [
        (f"p{number}", f"document/{item:03d}")
        for number in range(people)
        for item in draw.choice(ITEMS, USES_EACH, replace=False, p=weights / weights.sum()).tolist()
    ]


def _written(path: Path, account: str, uses: Sequence[tuple[str, str]], now_us: int) -> Path:
    def attributes(**values: str) -> list[dict[str, Any]]:
        return [{"key": f"volition.{key}", "value": {"stringValue": value}} for key, value in values.items()]

    records = [
        {
            "timeUnixNano": str((now_us - _DAY_US + place) * 1000),
            "eventName": "document.opened",
            "attributes": attributes(person=person, category="service/usage", item=item),
        }
        for place, (person, item) in enumerate(uses)
    ]
    resource = {"attributes": attributes(account=account)}
    path.write_text(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}))
    return path


def _refuse(workspace: Workspace, person: str) -> None:
    workspace.consent.decide(f"person:{person}", yes=False, data=["service"], purpose=["train/recommend"])


def _proofs(workspace: Workspace, person: str) -> dict[str, Any]:
    from volition.transparency.verify.people import verify_person  # noqa: PLC0415 - it takes long to load

    shown = workspace.proofs.person(person)
    holds = all(verify_person(one, workspace.verifier).holds for one in shown)
    return {
        "log": f"a Merkle tree with signed checkpoints, the newest of {us_to_text(workspace.now_us)[:10]}",
        "a person's document": f"proofs ({len(shown)}), which rest on the public key alone",
        "shows offline that somebody was, or was not, learned from": holds and bool(shown),
    }


def _notices(folder: Path) -> bool:
    """Say whether a copy of the workspace whose log lost its newest entry is refused."""
    copy = folder / "cut"
    shutil.copytree(folder / "workspace", copy)
    with closing(sqlite3.connect(copy / "ledger.db")) as cut, cut:
        cut.execute("DROP TRIGGER growth_delete")
        cut.execute("DELETE FROM growth WHERE size = (SELECT max(size) FROM growth)")
    try:
        with Workspace.open(copy) as opened:
            opened.entries()
    except ProofError:
        return True
    return False


_Time = tuple[float, float]  # seconds, and those of the processor


def _timed(work: Callable[[], object]) -> _Time:
    began, began_cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - began_cpu


def _in_ms(one: _Time) -> dict[str, float]:
    return {"wall": round(one[0] * 1e3, 2), "processor": round(one[1] * 1e3, 2)}


def _spread(times: Sequence[_Time]) -> dict[str, Any]:
    wall, processor = (sorted(column) for column in zip(*times, strict=True))
    return {
        "median": round(statistics.median(wall) * 1e3, 2),
        "least to most": [round(wall[0] * 1e3, 2), round(wall[-1] * 1e3, 2)],
        "processor, median": round(statistics.median(processor) * 1e3, 2),
    }
