"""A model of your own, from consent to forgetting to proof: `python examples/own_model.py FOLDER`.

The model is a few lines of numpy: how often each document is opened, as a probability. Yours may be anything; what
matters is the block `with workspace.models.training(...)`, and that the command in `volition.toml` runs the same code.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from volition.canonical import datetime_to_us
from volition.learning.audit.measured import Measured
from volition.learning.families.family import Scores
from volition.records.lake import Row
from volition.workspace import Workspace
from volition.workspace.training import Run

NAME, PURPOSE = "opened", "train/recommend"
PEOPLE = [f"p{number}" for number in range(12)]
DOCUMENTS = 8


def opened(row: Row) -> str:
    """Return which document a row says that somebody opened."""
    return str(row.payload["attributes"]["volition.item"])


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """Learn how likely each document is opened, with one made-up opening of each (Laplace's rule)."""
    counts = Counter(opened(row) for row in rows)
    total = sum(counts.values()) + DOCUMENTS
    return {f"document/{number}": (counts[f"document/{number}"] + 1) / total for number in range(DOCUMENTS)}


def losses(model: dict[str, float], rows: Sequence[Row]) -> np.ndarray:
    """Return the negative log-likelihood of each row."""
    return np.array([-np.log(model[opened(row)]) for row in rows])


def score(metric_of: dict[str, float], rows: Sequence[Row]) -> Scores:
    """Score each person by the mean log-likelihood of what they opened; higher is better."""
    people = sorted({(row.account, row.author) for row in rows})
    values = [-losses(metric_of, [row for row in rows if row.author == person]).mean() for _, person in people]
    return Scores(
        metric="log-likelihood",
        units=tuple(person for _, person in people),
        accounts=tuple(account for account, _ in people),
        values=np.array(values),
        people=tuple((person,) for _, person in people),
    )


def learn(run: Run) -> None:
    """Train in a run: read its rows, write its files, record its parameters, and measure on whom it never saw."""
    rows, held_out = run.rows(), run.held_out()
    model = fit(rows)
    (run.folder / "model.json").write_text(json.dumps(model, sort_keys=True))
    run.record(smoothing=1, documents=DOCUMENTS)
    guess = dict.fromkeys(model, 1 / DOCUMENTS)
    run.measured(
        Measured(
            trained=score(model, held_out),
            untrained=score(guess, held_out),
            member_losses=losses(model, rows),
            other_losses=losses(model, held_out),
            how="One person in four was held out; without training every document is as likely.",
        )
    )


def collect(workspace: Workspace) -> None:
    """Have everybody agree, and collect what they open."""
    workspace.people.add_account("acme", "Acme")
    for person in PEOPLE:
        workspace.people.add_person(person, account="acme")
    workspace.terms.accept("acme")
    workspace.consent.decide("account:acme", yes=True, data=["service"], purpose=["train"], covers="past")
    random, start = np.random.default_rng(7), datetime.now(UTC) - timedelta(hours=2)

    def attributes(person: str, item: int) -> list[dict[str, object]]:
        said = {"account": "acme", "person": person, "category": "service/usage", "item": f"document/{item}"}
        return [{"key": f"volition.{key}", "value": {"stringValue": value}} for key, value in said.items()]

    records = [
        {
            "timeUnixNano": str(datetime_to_us(start + timedelta(seconds=minute)) * 1000),
            "attributes": attributes(person, int(item)),
        }
        for person in PEOPLE
        for minute, item in enumerate(random.geometric(0.4, 6) % DOCUMENTS)
    ]
    file = workspace.folder / "usage.json"
    file.write_text(json.dumps({"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]}))
    workspace.records.collect_otlp(file)


def story(folder: Path) -> None:
    """Go the whole road."""
    Workspace.create(folder).close()
    settings = folder / "volition.toml"
    command = (
        f"{sys.executable} {Path(__file__).resolve()} {{workspace}} --snapshot {{snapshot}} --instead-of {{model}}"
    )
    settings.write_text(f"{settings.read_text()}\n[training.{NAME}]\nforget = '{command}'\n")
    with Workspace.open(folder) as workspace:
        collect(workspace)
        snapshot = workspace.snapshots.create(PURPOSE)
        with workspace.models.training(NAME, snapshot=snapshot.id, held_out=4) as run:
            learn(run)
        assert run.model is not None
        workspace.models.release(run.model)
        print(f"{run.model} is at work: learned from {len(run.rows())} rows.")

        workspace.consent.decide("person:p3", yes=False, data=["service"], purpose=["train"])
        [owed] = workspace.models.owed()
        print(f"p3 says no: {owed.model} owes {owed.rows} rows, and forgets {owed.forgets}.")
        [done] = workspace.forgetting.forget()
        [proof] = workspace.proofs.person("p3", model=str(done.successor))
        print(f"{done.successor} took its place; it learned from p3: {proof['present']}.")
        workspace.proofs.bundle(folder / "bundle.zip")


def retrain(folder: Path, snapshot: str, instead_of: str) -> None:
    """Train again from what is left: the command that `volition forget` runs."""
    with (
        Workspace.open(folder) as workspace,
        workspace.models.training(NAME, snapshot=snapshot, instead_of=instead_of) as run,
    ):
        learn(run)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--snapshot")
    parser.add_argument("--instead-of")
    told = parser.parse_args()
    retrain(told.folder, told.snapshot, told.instead_of) if told.snapshot else story(told.folder)
