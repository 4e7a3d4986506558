"""Rows as a stream: the same rows in every form, and nobody's any more once they have said no."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from volition.canonical import now_us, us_to_text
from volition.errors import BackendError, InvalidInputError
from volition.records.stream.rows import SCHEMA
from volition.workspace import Workspace

LINES = 40
DAY_US = 86_400_000_000
VTT = "WEBVTT\n\n" + "".join(
    f"00:{second:02d}.000 --> 00:{second:02d}.900\n{'Ada Byron' if second % 2 else 'Bo Berg'}: line {second}\n\n"
    for second in range(LINES)
)


@pytest.fixture
def ahead():
    """How far the workspace's clock is ahead, microseconds: a list of one, to be changed."""
    return [0]


@pytest.fixture
def workspace(tmp_path, ahead):
    file = tmp_path / "standup.vtt"
    with Workspace.create(tmp_path / "w", clock=lambda: now_us() + ahead[0]) as workspace:
        for account in ("acme", "brill", "cress"):
            workspace.people.add_account(account, account.title())
            for person, name in (("ada", "Ada Byron"), ("bo", "Bo Berg")):
                workspace.people.add_person(f"{account}-{person}", account=account, name=name)
            workspace.terms.accept(account)
            file.write_text(VTT)
            workspace.records.collect_webvtt(file, account=account, started=datetime(2026, 6, 2, 9, tzinfo=UTC))
            for party in (f"account:{account}", f"person:{account}-ada", f"person:{account}-bo"):
                workspace.consent.decide(party, yes=True, data=["content"], purpose=["train/summary"], covers="past")
        yield workspace


def texts(batches):
    return sorted(
        (row["account"], json.loads(row["payload"])["text"]) for batch in batches for row in batch.to_pylist()
    )


ALL = sorted((account, f"line {second}") for account in ("acme", "brill", "cress") for second in range(LINES))


def test_every_permitted_row_comes_once(workspace):
    batches = list(workspace.records.rows("train/summary", batch_rows=7))
    assert {batch.schema for batch in batches} == {SCHEMA}
    assert max(batch.num_rows for batch in batches) == 7
    assert texts(batches) == ALL
    first = batches[0].to_pylist()[0]
    assert first["collected_at"].tzinfo is not None
    assert first["category"] == "content/transcript"
    assert set(first["people"]) == {
        workspace.parties.person(f"{first['account']}-{name}").pseudonym for name in ("ada", "bo")
    }


def test_nothing_comes_for_a_purpose_nobody_agreed_to(workspace):
    assert list(workspace.records.rows("train/search")) == []
    assert workspace.records.rows("train/search").to_reader().read_all().num_rows == 0


def test_whoever_says_no_while_it_is_read_is_in_no_later_batch(workspace):
    stream = iter(workspace.records.rows("train/summary", batch_rows=5))
    early = [next(stream)]
    account = early[0]["account"][0].as_py()
    assert len(texts(early)) < LINES
    workspace.consent.decide(f"person:{account}-bo", yes=False, data=["content"], purpose=["train"])
    late = texts(stream)
    assert all(other != account for other, _ in late)  # bo was in the meeting: nothing of it is left
    assert len(late) == 2 * LINES


def test_whose_yes_ends_while_it_is_read_is_in_no_later_batch(workspace, ahead):
    until = us_to_text(workspace.now_us + DAY_US)
    for account in ("acme", "brill"):
        party = f"person:{account}-bo"
        workspace.consent.decide(party, yes=True, data=["content"], purpose=["train"], until=until)
    stream = iter(workspace.records.rows("train/summary", batch_rows=5))
    early = next(stream)
    assert early.num_rows == 5
    ahead[0] += DAY_US
    late = texts(stream)  # nothing was appended, and bo was in the meetings of both accounts
    assert {account for account, _ in late} == {"cress"}
    assert len(late) >= LINES - 5


@pytest.mark.slow
def test_a_no_of_another_process_stops_it_too(workspace):
    stream = iter(workspace.records.rows("train/summary", batch_rows=5))
    account = next(stream)["account"][0].as_py()
    said = "no", "--party", f"account:{account}", "--data", "content", "--purpose", "train/summary"
    command = [sys.executable, "-m", "volition", "decide", *said, "--workspace", str(workspace.folder)]
    subprocess.run(command, check=True, capture_output=True)
    assert all(other != account for other, _ in texts(stream))


def test_whoever_agrees_while_it_is_read_comes_the_next_time(workspace):
    rows = workspace.records.rows("train/search", batch_rows=5)
    for account in ("acme", "brill"):
        for party in (f"account:{account}", f"person:{account}-ada", f"person:{account}-bo"):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=["train/search"], covers="past")
    assert len(texts(rows)) == 2 * LINES
    stream = iter(rows)
    next(stream)
    for party in ("account:cress", "person:cress-ada", "person:cress-bo"):
        workspace.consent.decide(party, yes=True, data=["content"], purpose=["train/search"], covers="past")
    assert len(texts(stream)) == 2 * LINES - 5
    assert texts(rows) == ALL


def test_shares_are_all_of_it_once(workspace):
    rows = workspace.records.rows("train/summary")
    shares = [texts(rows.share(share, 3)) for share in range(3)]
    assert sorted(row for share in shares for row in share) == ALL


def test_an_unknown_purpose_or_category_is_told_at_once(workspace):
    with pytest.raises(InvalidInputError, match="purpose"):
        workspace.records.rows("train/everything")
    with pytest.raises(InvalidInputError):
        workspace.records.rows("train/summary", categories=["content/gossip"])


def test_the_reader_streams(workspace):
    table = workspace.records.rows("train/summary", batch_rows=9).to_reader().read_all()
    assert table.num_rows == len(ALL)
    assert texts(table.to_batches()) == ALL


def test_pandas(workspace):
    pytest.importorskip("pandas", reason="pandas is not installed: make extras")
    frames = list(workspace.records.rows("train/summary", batch_rows=50).to_pandas())
    assert [len(frame) for frame in frames] == [50, 50, 20]
    assert texts(pa.RecordBatch.from_pandas(frame, schema=SCHEMA) for frame in frames) == ALL


@pytest.mark.slow
def test_polars(workspace):
    pytest.importorskip("polars", reason="polars is not installed: make extras")
    frames = list(workspace.records.rows("train/summary", batch_rows=50).to_polars())
    assert sorted(line for frame in frames for line in frame["record_id"]) == sorted(
        line for batch in workspace.records.rows("train/summary") for line in batch["record_id"].to_pylist()
    )


@pytest.mark.slow
def test_torch_with_and_without_workers(workspace):
    """In a process of its own: torch warns and starts threads as it likes."""
    pytest.importorskip("torch", reason="torch is not installed: make extras")
    code = """
import json, sys
from pathlib import Path
from torch.utils.data import DataLoader
from volition.workspace import Workspace
if __name__ == "__main__":
    with Workspace.open(Path(sys.argv[1])) as workspace:
        rows = workspace.records.rows("train/summary", batch_rows=16)
        for size, workers, context in ((32, 0, None), (None, 0, None), (32, 2, "fork"), (None, 2, "spawn")):
            dataset = rows.to_torch(batched=size is None)
            loader = DataLoader(dataset, batch_size=size, num_workers=workers, multiprocessing_context=context)
            batches = list(loader)
            assert all(batch["embedding"].shape == (len(batch["record_id"]), 384) for batch in batches)
            print(json.dumps(sorted(name for batch in batches for name in batch["record_id"])))
"""
    script = workspace.folder.parent / "loading.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(workspace.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = sorted(
        name for batch in workspace.records.rows("train/summary") for name in batch["record_id"].to_pylist()
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [expected] * 4


@pytest.mark.slow
def test_hugging_face(workspace):
    pytest.importorskip("datasets", reason="datasets is not installed: make extras")
    code = """
import json, sys
from pathlib import Path
from volition.workspace import Workspace
with Workspace.open(Path(sys.argv[1])) as workspace:
    rows = workspace.records.rows("train/summary", batch_rows=16).to_hugging_face()
    print(json.dumps(sorted(row["record_id"] for row in rows)))
"""
    command = [sys.executable, "-c", code, str(workspace.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = sorted(
        name for batch in workspace.records.rows("train/summary") for name in batch["record_id"].to_pylist()
    )
    assert json.loads(done.stdout) == expected


READ_AHEAD = """
import json, sys
from functools import partial
from pathlib import Path
from torch.utils.data import DataLoader
from volition.workspace import Workspace

def accounts_of(batch):
    if isinstance(batch, list):
        return [row["account"] for row in batch]
    return [batch["account"]] if isinstance(batch["account"], str) else batch["account"]

def count(batches, decide):
    '''Read one batch, wait until the workers have read all they may, say no, and count what comes of it.'''
    import time
    stream = iter(batches)
    account = accounts_of(next(stream))[0]
    time.sleep(float(sys.argv[3]))
    decide(f"person:{account}-bo", yes=False, data=["content"], purpose=["train/summary"])
    late, others = 0, 0
    for batch in stream:
        late += sum(one == account for one in accounts_of(batch))
        others += sum(one != account for one in accounts_of(batch))
    decide(f"person:{account}-bo", yes=True, data=["content"], purpose=["train/summary"], covers="past")
    return late, others

if __name__ == "__main__":
    with Workspace.open(Path(sys.argv[1])) as workspace:
        rows = workspace.records.rows("train/summary", batch_rows=4)
        decide = workspace.consent.decide
        ahead = {"num_workers": 2, "prefetch_factor": 8}
        loaders = {
            "a loader": lambda context: DataLoader(
                rows.to_torch(), batch_size=4, multiprocessing_context=context, **ahead),
            "torch": lambda context: rows.to_loader(
                rows.to_torch(batched=True), multiprocessing_context=context, **ahead),
            "Hugging Face": lambda context: rows.to_loader(
                rows.to_hugging_face(), multiprocessing_context=context, **ahead),
            "Hugging Face, lists": lambda context: rows.to_loader(
                rows.to_hugging_face().map(lambda row: row | {"length": len(row["payload"])}),
                multiprocessing_context=context, batch_size=3, collate_fn=list, **ahead),
            "no worker": lambda context: rows.to_hugging_face(),
        }
        make = loaders[sys.argv[2].split(";")[0]]
        print(json.dumps(count(make(sys.argv[2].split(";")[1] or None), decide)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        "a loader;fork",
        "torch;fork",
        "Hugging Face;spawn",
        "Hugging Face, lists;fork",
        "no worker;",
    ],
)
def test_what_workers_have_read_ahead_is_judged_again_before_the_loop_has_it(workspace, how):
    """In a process of its own, with two workers that have read everything before somebody says no."""
    for package in ("torch", "datasets"):
        pytest.importorskip(package, reason=f"{package} is not installed: make extras")
    script = workspace.folder.parent / "ahead.py"
    script.write_text(READ_AHEAD)
    command = [sys.executable, str(script), str(workspace.folder), how, "8" if "spawn" in how else "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    late, others = json.loads(done.stdout)
    assert late == 0
    assert others >= 2 * LINES - 4  # one batch of another account may have come first... and none is lost


UNGUARDED = """
import sys
from pathlib import Path
from torch.utils.data import DataLoader
from volition.errors import InvalidInputError, RefusedError
from volition.workspace import Workspace

def words(batch):
    return batch["payload"]

if __name__ == "__main__":
    with Workspace.open(Path(sys.argv[1])) as workspace:
        rows = workspace.records.rows("train/summary", batch_rows=4)
        for loader in (
            DataLoader(rows.to_hugging_face(), batch_size=None, num_workers=2),
            DataLoader(rows.to_torch(), batch_size=None, num_workers=2, collate_fn=words),
        ):
            try:
                list(loader)
            except RefusedError as error:
                print("refused", "outlive a no" in str(error))
        bare = rows.to_hugging_face().map(lambda row: {"n": 1}, remove_columns=["account", "people"])
        try:
            list(rows.to_loader(bare))
        except InvalidInputError as error:
            print("cannot be judged" in str(error))
"""


@pytest.mark.slow
def test_what_could_not_be_judged_again_is_refused_to_workers(workspace):
    for package in ("torch", "datasets"):
        pytest.importorskip(package, reason=f"{package} is not installed: make extras")
    script = workspace.folder.parent / "unguarded.py"
    script.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, str(script), str(workspace.folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["refused True", "refused True", "True"]


@pytest.mark.parametrize("form", ["pandas", "polars", "torch", "datasets"])
def test_a_missing_package_is_named(workspace, monkeypatch, form):
    monkeypatch.setitem(sys.modules, form, None)
    rows = workspace.records.rows("train/summary")
    turn_into = rows.to_hugging_face if form == "datasets" else getattr(rows, f"to_{form}")
    with pytest.raises(BackendError, match=r"pip install 'volition\[(forms|train)\]'"):
        turn_into()
