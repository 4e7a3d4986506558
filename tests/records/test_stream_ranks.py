"""Streams for a training in several processes: ranks share the rows, a no stops them in each, and a stop can go on."""

import gc
import json
import pickle
import subprocess
import sys

import pytest

from simulator import START_US
from volition.canonical import us_to_text
from volition.errors import InvalidInputError, RefusedError
from volition.records.stream.mixed import mixed_batches
from volition.records.stream.rows import Rows, judged

ACCOUNTS = 4


class Everybody:
    """Lets every row pass but those of some people, as a judge does."""

    def __init__(self):
        self.refused = set()

    def permitted(self, rows):
        return [self.refused.isdisjoint(row.people) for row in rows]


def row(number):
    from volition.records.lake import Row  # noqa: PLC0415

    return Row(
        record_id=f"{number:04}",
        account=f"a{number * ACCOUNTS // 400}",
        people=(f"p{number % 10}",),
        category="service/usage",
        collected_us=START_US + number,
        payload={},
        embedding=None,
        conversation=None,
        merged=None,
    )


ROWS = [row(number) for number in range(400)]


def opened(judge, share, shares, *, batch_rows=10):
    return judged(ROWS[share::shares], judge, batch_rows=batch_rows)


@pytest.fixture
def judge():
    return Everybody()


@pytest.fixture
def rows(judge):
    def open_batches(share, shares):
        return opened(judge, share, shares)

    return Rows(
        open_batches,
        open_batches,
        reopen_rows=open_batches,
        judge=lambda: judge,
        rejudge=lambda: judge,
        size=len(ROWS),
        batch_rows=10,
    )


def names(batches):
    return [name for batch in batches for name in batch["record_id"].to_pylist()]


def test_a_frozen_set_has_a_length_and_what_is_not_frozen_has_none(rows):
    assert len(rows) == len(names(rows)) == 400
    with pytest.raises(TypeError, match="not frozen"):
        len(Rows(iter, iter, reopen_rows=iter, judge=Everybody, rejudge=Everybody))


def test_mixed_rows_are_all_of_them_once_and_of_several_accounts_at_a_time(rows):
    mixed = rows.shuffled(seed=1)
    found = names(mixed)
    assert sorted(found) == sorted(names(rows))
    assert found == names(mixed) != names(rows)
    assert found != names(rows.shuffled(seed=1, epoch=1))
    assert all(len(set(batch["account"].to_pylist())) > 1 for batch in mixed)
    shares = [name for share in range(3) for name in names(mixed.share(share, 3))]
    assert sorted(shares) == sorted(found)


def test_a_small_buffer_mixes_accounts_that_lie_one_after_the_other(judge):
    def by_account(share, shares):
        own = [one for one in ROWS if int(one.account[1:]) % shares == share]
        return judged(own, judge, batch_rows=10)

    found = list(mixed_batches(by_account, lambda: judge, 0, 1, name="x", buffer_rows=20, batch_rows=10))
    assert sorted(names(found)) == sorted(one.record_id for one in ROWS)
    assert len(set(found[0]["account"].to_pylist())) > 1


def test_what_waits_in_the_buffer_is_judged_when_it_leaves_it(rows, judge):
    batches = iter(rows.shuffled())
    next(batches)
    judge.refused.add("p3")
    assert not any(["p3"] in batch["people"].to_pylist() for batch in batches)


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_where_it_was(rows, judge):
    pytest.importorskip("torch", reason="torch is not installed: make extras")
    own = rows.to_torch(batched=True, rank=1, ranks=2)
    assert len(own) == 20
    batches = iter(own)
    seen = [name for _ in range(7) for name in next(batches)["record_id"]]
    state = own.state_dict()
    judge.refused.add("p3")  # a batch may be shorter now, and is the same batch
    again = rows.to_torch(batched=True, rank=1, ranks=2)
    again.load_state_dict(state)
    rest = [name for batch in again for name in batch["record_id"]]
    allowed = [one.record_id for one in ROWS[1::2] if "p3" not in one.people]
    assert rest == [name for name in allowed if name not in seen]
    with pytest.raises(InvalidInputError, match="another process"):
        rows.to_torch(rank=0, ranks=2).load_state_dict(state)
    with pytest.raises(InvalidInputError, match="counted from 0"):
        rows.to_torch(rank=2, ranks=2)


@pytest.mark.slow
def test_a_plain_loader_makes_batches_and_as_many_whatever_is_refused(rows, judge):
    torch = pytest.importorskip("torch", reason="torch is not installed: make extras")
    loaders = [torch.utils.data.DataLoader(rows.to_torch(rank=rank, ranks=3), batch_size=32) for rank in range(3)]
    assert [len(loader) for loader in loaders] == [5, 5, 5]  # 134 rows, 133 and 133
    read = [[] for _ in loaders]
    for step, batches in enumerate(zip(*loaders, strict=True)):  # as many steps in each process
        for own, batch in zip(read, batches, strict=True):
            assert batch["embedding"].shape == (len(batch["record_id"]), 384)
            own.extend(batch["record_id"])
        if step == 1:
            judge.refused.add("p3")
    assert not set(read[0]) & set(read[1])
    seen = sorted(name for own in read for name in own)
    assert set(seen) < {one.record_id for one in ROWS}
    assert len(seen) == len(set(seen))
    assert {one.record_id for one in ROWS if "p3" not in one.people} <= set(seen)


@pytest.mark.slow
def test_a_row_that_was_refused_is_false_and_cannot_be_read_and_a_batch_is_kept_apart_from_others(rows, judge):
    torch = pytest.importorskip("torch", reason="torch is not installed: make extras")
    found = list(rows.to_torch())
    assert dict(found[0])["record_id"] == "0000"
    judge.refused.add("p3")
    assert [bool(one) for one in found[:5]] == [True, True, True, False, True]
    with pytest.raises(RefusedError, match="Pass over it"):
        found[3]["payload"]
    batch = torch.utils.data.default_collate(found[:8])  # sealed as they were, whether or not somebody looked in
    assert batch["record_id"] == ["0000", "0001", "0002", "0004", "0005", "0006", "0007"]
    with pytest.raises(InvalidInputError, match="several streams"):
        torch.utils.data.default_collate([found[0], next(iter(rows.to_torch()))])
    with pytest.raises(RefusedError, match="their dataset is not here"):
        _elsewhere(rows)["record_id"]


def _elsewhere(rows):
    """Return a batch as another process has it, in which there is no such dataset."""
    told = pickle.dumps(next(iter(rows.to_torch(batched=True))))
    gc.collect()
    return pickle.loads(told)  # noqa: S301 - our own


@pytest.mark.slow
def test_rows_go_on_where_a_training_was_stopped_and_not_with_other_workers(rows):
    torch = pytest.importorskip("torch", reason="torch is not installed: make extras")
    own = rows.to_torch()
    batches = iter(torch.utils.data.DataLoader(own, batch_size=32))
    seen = [name for _ in range(3) for name in next(batches)["record_id"]]
    state = own.state_dict()
    again = rows.to_torch()
    again.load_state_dict(state)
    assert again.state_dict() == state
    rest = [name for batch in torch.utils.data.DataLoader(again, batch_size=32) for name in batch["record_id"]]
    assert seen + rest == [one.record_id for one in ROWS]
    again.load_state_dict({**state, "workers": 2})
    with pytest.raises(InvalidInputError, match="another number of workers"):
        next(iter(again))


RANKS = """
import json, sys
from pathlib import Path
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader
from volition.errors import RefusedError
from volition.workspace import Workspace

folder, rank, store, snapshot = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
with Workspace.open(folder) as workspace:
    refused = False
    try:
        with workspace.models.training("churn", snapshot=snapshot) as run:
            told = ""
            try:
                run.stream().to_loader([], batch_size=4)  # whatever is not rows for torch, such as Hugging Face's
            except RefusedError as error:
                told = str(error)
            batches = iter(DataLoader(run.stream().to_torch(), batch_size=4))
            before = [one for _ in range(2) for one in next(batches)["record_id"]]
            dist.barrier()
            if rank == 0:
                workspace.consent.decide("person:acme-0", yes=False, data=["service"], purpose=["train/recommend"])
            dist.barrier()
            after = []
            for batch in batches:
                after += [[one, list(people)] for one, people in zip(batch["record_id"], batch["people"])]
                dist.all_reduce(torch.ones(1))  # it would wait for ever, were there another number of steps
            (run.folder / "weights").write_text("w")
    except RefusedError:
        refused = True
    pseudonym = workspace.parties.person("acme-0").pseudonym
    late = [one for one, people in after if pseudonym in people]
    found = {"before": before, "after": [one for one, _ in after], "late": late, "refused": refused, "told": told}
    print(json.dumps(found))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_a_no_stops_rows_in_each_process_of_a_training(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed: make extras")

    from crafts import WallClock, build  # noqa: PLC0415

    with build(tmp_path / "ws", WallClock(-86_400_000_000), accounts={"acme": 4, "brill": 4}) as workspace:
        snapshot = workspace.snapshots.create("train/recommend")
        everything = {key.record_id for key in snapshot.keys}
    script = tmp_path / "rank.py"
    script.write_text(RANKS)
    command = [sys.executable, str(script), str(tmp_path / "ws")]
    running = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "store"), snapshot.id], stdout=-1, stderr=-1, text=True)
        for rank in range(2)
    ]
    told = [one.communicate(timeout=300) for one in running]
    assert [one.returncode for one in running] == [0, 0], told
    found = [json.loads(out.splitlines()[-1]) for out, _ in told]
    assert not set(found[0]["before"]) & set(found[1]["before"])
    read = [name for one in found for name in (*one["before"], *one["after"])]
    assert len(read) == len(set(read)) < len(everything)
    assert set(read) < everything
    assert [one["late"] for one in found] == [[], []]
    assert [one["refused"] for one in found] == [True, True]
    assert all("as many" in one["told"] for one in found)


@pytest.mark.slow
def test_hugging_face_deals_shards_out_to_processes_and_knows_its_features(rows):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: make extras")
    from datasets.distributed import split_dataset_by_node  # noqa: PLC0415

    whole = rows.to_hugging_face()
    assert list(whole.features) == [
        "record_id",
        "account",
        "people",
        "category",
        "collected_at",
        "conversation",
        "payload",
        "embedding",
    ]
    assert datasets.__name__
    found = [[one["record_id"] for one in split_dataset_by_node(whole, rank=rank, world_size=2)] for rank in range(2)]
    assert not set(found[0]) & set(found[1])
    assert sorted([*found[0], *found[1]]) == sorted(one.record_id for one in ROWS)


@pytest.mark.slow
def test_hugging_face_rows_go_into_batches_of_a_plain_loader(rows):
    pytest.importorskip("datasets", reason="datasets is not installed: make extras")
    torch = pytest.importorskip("torch", reason="torch is not installed: make extras")
    batches = list(torch.utils.data.DataLoader(rows.to_hugging_face(), batch_size=32))
    assert sorted(name for batch in batches for name in batch["record_id"]) == sorted(one.record_id for one in ROWS)
    first = batches[0]
    assert [json.loads(one) for one in first["people"][:2]] == [["p0"], ["p6"]]
    assert first["collected_at"][0] == us_to_text(START_US)
    assert set(first["conversation"]) == {""}
    tensors = rows.to_hugging_face().with_format("torch")
    assert next(iter(torch.utils.data.DataLoader(tensors, batch_size=32)))["embedding"].shape == (32, 384)


@pytest.mark.slow
def test_hugging_face_rows_are_judged_in_both_forms_and_a_column_that_cannot_be_cut_is_refused(rows, judge):
    pytest.importorskip("datasets", reason="datasets is not installed: make extras")
    torch = pytest.importorskip("torch", reason="torch is not installed: make extras")

    def late(batch):
        judge.refused.add("p3")  # once it was read
        return torch.utils.data.default_collate(batch)

    read = rows.to_loader(rows.to_hugging_face().with_format("torch"), batch_size=80, collate_fn=late)
    first = next(iter(read))
    assert 0 < len(first["people"]) == len(first["embedding"]) < 80
    assert '["p3"]' not in first["people"]
    judge.refused.clear()
    with pytest.raises(InvalidInputError, match="'embedding' does not have one value a row"):
        next(iter(rows.to_loader(rows.to_hugging_face(), batch_size=80, collate_fn=late)))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["batches", "rows", "lists"])
def test_a_judged_loader_has_as_many_steps_whatever_is_refused(rows, judge, form):
    pytest.importorskip("torch", reason="torch is not installed: make extras")
    options = {"batch_size": 10, "collate_fn": list} if form == "lists" else {}
    loaders = [
        rows.to_loader(rows.to_torch(batched=form == "batches", rank=rank, ranks=2), **options) for rank in range(2)
    ]
    read = [iter(one) for one in loaders]
    assert all(len(next(one)) for one in read)
    judge.refused.update(f"p{number}" for number in range(0, 10, 2))  # all that the first process has
    rest = [list(one) for one in read]
    assert len(rest[0]) == len(rest[1]) == (199 if form == "rows" else 19)
    if form == "batches":
        assert not any(batch["record_id"] for batch in rest[0])
        assert rest[0][0]["embedding"].shape == (0, 384)
    else:
        assert not any(rest[0])
    assert all(rest[1])
