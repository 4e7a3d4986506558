"""Adapters: exact forgetting by shards, kills that cost nothing, one person's part bounded.

What goes on around the base is tested on letters, quickly; that it holds on a real network, on a tiny random Llama.
"""

import hmac
import json
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_compose import CHAT, PEOPLE, export
from tokenizers import pre_tokenizers

from crafts import create_unbound
from letters import Letters, use_letters
from smollm import SmolLM
from tiny_llama import make_base, needed
from volition.cli import main
from volition.consent.terms.toml_file import FaultError
from volition.errors import BackendError, InvalidInputError, RefusedError
from volition.learning.audit.canary import measure_canaries
from volition.learning.card import card_markdown
from volition.learning.dp import clipped_sum, gaussian, is_drawn
from volition.learning.families.adapter import base as base_module
from volition.learning.families.adapter.family import AdapterFamily
from volition.learning.families.adapter.gguf import make_base as make_base_of
from volition.learning.families.adapter.recipe import Private, Recipe
from volition.learning.families.adapter.shards import deal, shard_of, writers
from volition.learning.families.family import NoParts
from volition.learning.release import Override, missed_bounds
from volition.learning.train import FolderParts
from volition.progress import silent
from volition.records.lake import Row
from volition.workspace import Workspace

WORDS = [
    "the",
    "plan",
    "is",
    "late",
    "again",
    "so",
    "we",
    "move",
    "it",
    "to",
    "monday",
    "and",
    "tell",
    "them",
    "what",
    "they",
    "can",
    "have",
    "before",
    "lunch",
    "if",
    "nobody",
    "minds",
]
RECIPE = Recipe(base="base", shards=3, rank=2, steps=10, rate=0.4, tokens=24, threads=1)
ACCOUNTS = ("acme", "brill", "corda", "dunn")


def said(account, person, text, number):
    payload = {"kind": "message", "channel": "general", "ts": f"{number}.0", "author": person, "text": text}
    return Row(
        record_id=f"{account}-{number:04d}",
        account=account,
        people=(person,),
        category="content/chat",
        collected_us=number,
        payload=payload,
    )


def chat():
    rng = random.Random(3)
    return [
        said(account, f"{account}-{number % 5}", " ".join(rng.choices(WORDS, k=6)), number)
        for account in ACCOUNTS
        for number in range(30)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    needed()
    folder = tmp_path_factory.mktemp("adapter")
    make_base(folder / "base")
    return folder


def family(folder, *, secret=b"secret", **changes):
    return AdapterFamily(replace(RECIPE, **changes), folder=folder, secret=secret)


def learn(folder, rows, *, parts=None, **changes):
    return family(folder, **changes).fit(rows, parts=parts or NoParts(), progress=silent)


def without(rows, gone):
    return [one for one in rows if not {one.account, *one.people} & set(gone)]


def test_the_settings_are_read_strictly():
    table = {"base": "base", "steps": 5, "privacy": {"delta": 1e-6}}
    read = Recipe.from_toml(table)
    assert read == Recipe(base="base", steps=5, privacy=Private(delta=1e-6))
    for wrong in ({}, {"base": ""}, {"base": "b", "rate": 0}, {"base": "b", "steps": 0}, {"base": "b", "epochs": 1}):
        with pytest.raises(FaultError) as raised:
            Recipe.from_toml(wrong)
        assert raised.value.path[:1] == tuple(key for key in wrong if key != "base" or not wrong[key])[:1]
    for wrong in ({"delta": 1}, {"clipping": "1"}, {"sigma": 1}, []):
        with pytest.raises(FaultError) as raised:
            Recipe.from_toml({"base": "b", "privacy": wrong})
        assert raised.value.path == ("privacy", *wrong)


def test_an_account_is_in_one_shard_and_whoever_writes_in_two_teaches_nothing():
    rows = [*chat(), said("acme", "both", "hello", 900), said("brill", "both", "hello", 901)]
    dealt = deal(rows, 3)
    assert dealt == deal(random.Random(1).sample(rows, len(rows)), 3)
    for shard, messages in dealt.items():
        assert {shard_of(message.record.split("-")[0], 3) for message in messages} == {shard}
        assert "both" not in {message.person for message in messages}
    assert sum(map(len, dealt.values())) == len(chat())


def test_several_identities_of_one_person_are_one_writer_whichever_of_them_is_kept():
    rows = [*chat(), said("acme", "heard", "hello", 900)]
    merged = [replace(row, merged={"acme-1": "heard"}) for row in rows]
    assert deal(merged, 3) == deal([replace(row, merged={"heard": "acme-1"}) for row in rows], 3)
    assert deal(merged, 3) == deal([*chat(), replace(rows[-1], people=("acme-1",))], 3)
    assert deal([replace(row, merged={"acme-1": "elsewhere"}) for row in chat()], 3) == deal(chat(), 3)
    abroad = [*rows, said("brill", "abroad", "hello", 901)]
    one = deal([replace(row, merged={"abroad": "heard"}) for row in abroad], 3)  # who writes in two accounts
    assert one == deal(chat(), 3)


@pytest.mark.slow
@pytest.mark.parametrize("before_training", [True, False])
@pytest.mark.parametrize("gone", [("brill-1",), ("acme-2",), ("acme-1",)])
def test_forgetting_after_people_became_one_trains_the_model_that_counts_them_once(light, before_training, gone):
    merged = [replace(row, merged={"acme-1": "acme-4"}) for row in chat()]
    after = without(merged, gone)
    model = learn(light, merged if before_training else chat())
    forgotten = family(light).forget(model, before=merged, after=after, parts=NoParts(), progress=silent)
    assert forgotten.files() == learn(light, after).files()


def test_what_a_person_adds_to_a_step_depends_on_nobody_else():
    messages = next(iter(deal(chat(), 1).values()))
    everybody = writers(messages, lambda text: list(text.encode()), 256)
    alone = writers([one for one in messages if one.person == "acme-1"], lambda text: list(text.encode()), 256)
    for step in range(20):
        part = everybody["acme-1"].part("seed", step, "acme-1", 24)
        assert np.array_equal(part, alone["acme-1"].part("seed", step, "acme-1", 24))
        assert part[0] == 256
        assert 2 <= len(part) <= 25


def test_without_the_packages_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(base_module, "find_spec", lambda _name: None)
    with pytest.raises(BackendError, match=r"pip install 'volition\[train\]'"):
        learn(tmp_path, chat())


def test_a_card_tells_the_claim_and_the_base():
    told = {
        "format": "volition/card/5",
        "model": "adapter-1",
        "family": "adapter",
        "released": "now",
        "purpose": "train/compose",
        "learned_from": {"snapshot": "s", "at": "now", "people": 1, "accounts": {}, "rows": {}, "manifest": "m"},
        "base": {"name": "tiny", "digest": "abc"},
        "privacy": None,
        "trained_by": "family",
        "forgets": "exact",
        "findings": [],
        "override": None,
        "digest": "d",
        "terms": [],
    }
    assert "**not** trained with differential privacy" in card_markdown(told)
    from volition.learning.dp import Claim  # noqa: PLC0415

    claimed = Claim(
        clipping=1.5, rate=0.1, multiplier=1.2, steps=60, epsilon=2.5, delta=1e-5, accountant="PRV (opacus) 1.6.0"
    ).to_json()
    text = card_markdown({**told, "privacy": claimed})
    for figure in ("2.500 at 1e-05", "person (author)", "Poisson", "1.2", "1.5", "PRV (opacus) 1.6.0", "abc"):
        assert figure in text
    assert all(what in text for what in claimed["not_covered"])


@pytest.fixture
def light(monkeypatch, tmp_path):
    """A folder for adapters that stand on letters."""
    use_letters(monkeypatch)
    return tmp_path


@pytest.mark.parametrize("privacy", [None, Private()], ids=["plain", "private"])
@pytest.mark.parametrize("gone", [["acme-0"], ["brill"], ["acme-1", "brill", "dunn-3"], []])
def test_forgetting_trains_the_shards_concerned_and_gives_what_never_saw_them(light, gone, privacy):
    forgets_exactly(light, gone, privacy=privacy)


def forgets_exactly(folder, gone, **changes):
    rows = chat()
    steps = {**RECIPE.to_json(), **changes}["steps"]
    model = learn(folder, rows, **changes)
    after = without(rows, gone)
    told = []
    forgotten = family(folder, **changes).forget(
        model, before=rows, after=after, parts=NoParts(), progress=lambda *step: told.append(step)
    )
    never = learn(folder, after, **changes)
    assert forgotten.files() == never.files()
    concerned = {shard_of(one.split("-")[0], 3) for one in gone} & set(deal(after, 3))
    assert [step[1] for step in told] == [
        number * steps + done for number in range(len(concerned)) for done in range(steps + 1)
    ]
    asked = family(folder, **changes)
    assert np.array_equal(asked.log_likelihood(forgotten, rows), asked.log_likelihood(never, rows))
    assert (model.files() == forgotten.files()) == (not gone)


def test_everybody_gone_leaves_nothing(light):
    with pytest.raises(InvalidInputError, match="nothing to learn from"):
        family(light).forget(learn(light, chat()), before=chat(), after=[], parts=NoParts(), progress=silent)


def test_a_model_of_another_seed_or_recipe_is_trained_anew(light):
    for model in (learn(light, chat(), secret=b"another"), learn(light, chat(), rate=0.3)):
        forgotten = family(light).forget(model, before=chat(), after=chat(), parts=NoParts(), progress=silent)
        assert forgotten.files() == learn(light, chat()).files() != model.files()


def test_each_step_tells_the_loss_which_falls(light):
    told = []
    family(light, shards=1, learning_rate=0.1, rate=1.0).fit(
        chat(), parts=NoParts(), progress=lambda *step: told.append(step)
    )
    assert [step[:3] for step in told] == [("training shard 1 of 1", done, 10) for done in range(11)]
    losses = [step[3] for step in told]
    assert losses[0] is None
    assert losses[1] == pytest.approx(np.log(257))
    assert losses[10] < losses[5] < losses[1]


def test_a_step_is_the_clipped_sum_of_whoever_was_drawn_with_noise(light):
    """The same training in plain arithmetic, one person after the other."""
    recipe = replace(RECIPE, shards=1, privacy=Private(clipping=0.05, noise_multiplier=0.7))
    model = family(light, shards=1, privacy=recipe.privacy).fit(chat(), parts=NoParts(), progress=silent)
    base = Letters()
    seed = hmac.digest(b"secret", b"volition/adapter/shard/0", "sha256").hex()
    people = writers(deal(chat(), 1)[0], base.encode, base.end)
    weights = mean = square = np.zeros(base.size)
    for step in range(recipe.steps):
        moving = gaussian(seed, step, base.size, 0.7 * 0.05).astype(np.float64)
        for person in sorted(people):
            if is_drawn(seed, step, person, recipe.rate):
                part = people[person].part(seed, step, person, recipe.tokens)
                own = base.gradient(weights, part)[1].astype(np.float64)
                moving += own * min(1.0, 0.05 / np.linalg.norm(own))
        mean = 0.9 * mean + 0.1 * moving / 0.05
        square = 0.999 * square + 0.001 * (moving / 0.05) ** 2
        weights = weights - recipe.learning_rate * (mean / (1 - 0.9 ** (step + 1))) / (
            np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-8
        )
    assert np.allclose(model.arrays["shard-000"], weights, rtol=1e-3, atol=1e-6)


def test_canaries_that_one_person_wrote_are_ranked(light):
    finding = measure_canaries(family(light, steps=2), chat(), bound=3.0, progress=silent, canaries=2)[0]
    assert finding.value is not None
    assert 0 <= finding.value <= 10


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_bytes(light):
    code = (
        f"import os, signal, sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]\n"
        "from pathlib import Path\nfrom test_adapter import *\n"
        "use_letters(pytest.MonkeyPatch())\n"
        "put, left = FolderParts.put, [4]\n"
        "def put_or_die(self, name, arrays):\n"
        "    left[0] -= 1\n"
        "    if left[0] < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    put(self, name, arrays)\n"
        "FolderParts.put = put_or_die\n"
        "learn(Path(sys.argv[1]), chat(), parts=FolderParts(Path(sys.argv[2])))\n"
    )
    ran = [sys.executable, "-c", code, str(light), str(light / "run")]
    died = subprocess.run(ran, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    kept = list((light / "run").iterdir())
    assert len(kept) == 4
    steps = []
    resumed = family(light).fit(chat(), parts=FolderParts(light / "run"), progress=lambda *told: steps.append(told))
    shards = len(deal(chat(), 3))
    assert len(steps) == (RECIPE.steps + 1) * shards - 4
    assert resumed.files() == learn(light, chat()).files()


def write_gguf(path, *, network="llama", **more):
    """Write a tiny Llama as llama.cpp does: rows of queries and keys by pairs, numbers in eight bits where they may."""
    gguf = pytest.importorskip("gguf")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    rng = np.random.default_rng(1)
    file = gguf.GGUFWriter(path, network)
    file.add_name("Tiny")
    file.add_license("mit")
    file.add_block_count(2)
    file.add_context_length(64)
    file.add_embedding_length(32)
    file.add_feed_forward_length(64)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_rope_dimension_count(8)
    file.add_rope_freq_base(500.0)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("smollm")
    file.add_token_list([*letters, "th", "<|im_end|>"])
    file.add_token_types([1] * 257 + [3])
    file.add_token_merges(["t h"])
    file.add_eos_token_id(257)
    shapes = {"attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32)}
    shapes |= {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64), "attn_norm": (32,), "ffn_norm": (32,)}
    whole = {f"blk.{block}.{part}.weight": shape for block in range(2) for part, shape in shapes.items()}
    for name, shape in {"token_embd.weight": (258, 32), "output_norm.weight": (32,), **whole, **more}.items():
        values = rng.normal(0.4 if len(shape) == 1 else 0.0, 0.3, shape).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0 if len(shape) > 1 else gguf.GGMLQuantizationType.F32
        file.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    for write in (file.write_header_to_file, file.write_kv_data_to_file, file.write_tensors_to_file, file.close):
        write()
    return path


def test_what_is_no_llama_makes_no_base(tmp_path, capsys):
    assert main(["base", "no-such-package", "--into", str(tmp_path / "base")]) == 2
    assert "no file, and no installed package" in capsys.readouterr().err
    wrong = {
        "no GGUF file of a Llama": tmp_path / "text",
        "not 'llama'": write_gguf(tmp_path / "other.gguf", network="gpt2"),
        "'rope_freqs.weight', for which a Llama has no place": write_gguf(
            tmp_path / "more.gguf", **{"rope_freqs.weight": (4,)}
        ),
    }
    (tmp_path / "text").write_text("none")
    for told, path in wrong.items():
        with pytest.raises(InvalidInputError, match=told):
            make_base_of(path, tmp_path / "base")
        assert not (tmp_path / "base").exists()
    with pytest.raises(InvalidInputError, match="holds something already"):
        make_base_of(write_gguf(tmp_path / "tiny.gguf"), tmp_path)


@pytest.mark.slow
@pytest.mark.xdist_group("adapter")
class TestLlama:
    def test_forgetting_gives_what_never_saw_them(self, folder):
        forgets_exactly(folder, ["acme-0"], steps=3)

    def test_forgetting_gives_what_never_saw_them_in_private(self, folder):
        forgets_exactly(folder, ["acme-1", "brill", "dunn-3"], steps=3, privacy=Private())

    def test_training_learns(self, folder):
        model = learn(folder, chat(), steps=20, learning_rate=0.2, shards=1)
        asked = family(folder, shards=1)
        trained, base = asked.evaluate(model, (), chat()), asked.evaluate(None, (), chat())
        assert trained.values.mean() > base.values.mean() + 0.2
        assert trained.units == base.units

    @pytest.mark.parametrize("text", ["", "a", "z" * 5000, "\u2603" * 300, "1 2 3 " * 99])
    def test_a_person_moves_a_step_by_the_bound_at_most(self, folder, text):
        base = base_module.Base.open(folder / "base", rank=2, threads=1, device="cpu")
        base.set_fixed(base.fixed())
        found = writers(deal([said("acme", "eve", text, 1)], 1)[0], base.encode, base.end)["eve"]
        _, gradient = base.gradient(np.ones(base.size, np.float32), found.part("seed", 0, "eve", 24))
        assert 0 < np.linalg.norm(clipped_sum([gradient], 1e-3, base.size)) <= 1e-3 * (1 + 1e-5)

    def test_another_base_is_refused_and_what_is_no_base_is_named(self, folder, tmp_path):
        model = learn(folder, chat(), steps=1)
        make_base(tmp_path / "base", seed=1)
        with pytest.raises(InvalidInputError, match="no adapter of the base"):
            family(tmp_path, steps=1).log_likelihood(model, chat())
        (tmp_path / "base" / "tokenizer.json").unlink()
        with pytest.raises(InvalidInputError, match=r"it has no tokenizer\.json"):
            learn(tmp_path, chat())
        assert isinstance(family(folder).go_on(model, "the plan", tokens=4), str)

    def test_a_base_comes_out_of_a_gguf_file_and_answers_as_the_file_does(self, tmp_path, capsys):
        """What answers for the file is a network of our own, in numpy, that reads GGUF as it is."""
        needed()
        file, made = write_gguf(tmp_path / "tiny.gguf"), tmp_path / "base"
        assert main(["base", str(file), "--into", str(made), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["name"], told["licence"], told["folder"]) == ("Tiny", "mit", str(made))
        base = base_module.Base.open(made, rank=2, threads=1, device="cpu")
        assert base.digest == told["digest"] == make_base_of(file, tmp_path / "again").digest
        tokens = [base.end, *base.encode("In 2026 they go on, don't they?"), base.end]
        network = SmolLM(file)
        assert base.encode("In 2026 they") == network.encode("In 2026 they")
        scores = [network.scores(tokens[:end]) for end in range(1, len(tokens))]
        likely = [one[token] - np.log(np.exp(one).sum()) for one, token in zip(scores, tokens[1:], strict=True)]
        assert base.log_likelihoods(None, [np.array(tokens)]) == pytest.approx([sum(likely)], abs=1e-3)

    def test_the_whole_road_trained_refused_released_asked_and_forgotten(self, tmp_path, capsys):
        needed()
        place = tmp_path / "workspace"
        create_unbound(place, origin="log.example/adapter").close()
        make_base(place / "base")
        with (place / "volition.toml").open("a") as file:
            file.write(
                '\n[adapter]\nbase = "base"\nshards = 2\nrank = 2\nsteps = 1\nrate = 0.3\ntokens = 12\nthreads = 1\n'
                "[adapter.privacy]\nnoise_multiplier = 2.0\n"
            )
        with Workspace(place) as workspace:
            for account in ("orchard", "bakery"):
                workspace.people.add_account(account, account.title())
                workspace.terms.accept(account)
                for name in PEOPLE:
                    full, email = f"{name.title()} {account.title()}", f"{name}@{account}.example"
                    workspace.people.add_person(f"{account}-{name}", account=account, name=full, emails=[email])
                workspace.records.collect_slack(export(tmp_path, account), account=account)
                for party in (f"account:{account}", *(f"person:{account}-{name}" for name in PEOPLE)):
                    workspace.consent.decide(party, yes=True, data=CHAT, purpose=["train", "feature"], covers="past")
            model = workspace.models.train("adapter")
            assert model.model.settings["privacy"]["epsilon"] > 0
            with pytest.raises(InvalidInputError, match="No adapter is at work"):
                workspace.features.go_on("the ", person=f"orchard-{PEOPLE[0]}")
            workspace.models.audit(model.id)
            override = Override(by="A test", why="chance")
            missed = missed_bounds(workspace.models.findings(model), workspace._opened.settings.bounds)
            workspace.models.release(model.id, override=override if missed else None)
            card = (place / "releases" / model.id / "card.md").read_text()
            assert f"{model.model.settings['privacy']['epsilon']:.3f} at 1e-05" in card
            written = workspace.features.go_on("the ", person=f"orchard-{PEOPLE[0]}", tokens=2)
            asked = ["go-on", "the ", "--tokens", "2", "--workspace", str(place), "--as"]
            assert main([*asked, f"orchard-{PEOPLE[0]}", "--json"]) == 0
            assert json.loads(capsys.readouterr().out) == {"text": "the ", "written": written}
            assert main([*asked, f"orchard-{PEOPLE[0]}"]) == 0
            assert f"the {written}".split("\n")[0] in capsys.readouterr().out
            workspace.consent.decide(f"person:orchard-{PEOPLE[2]}", yes=False, data=CHAT, purpose=["feature"])
            assert main([*asked, f"orchard-{PEOPLE[2]}"]) == 3
            assert "orchard" in capsys.readouterr().err
            frozen = workspace.snapshots.create("train/compose")
            workspace.consent.decide(f"person:orchard-{PEOPLE[1]}", yes=False, data=CHAT, purpose=["train"])
            with pytest.raises(RefusedError, match="stale"):
                workspace.models.train("adapter", frozen.id)
            done = workspace.forgetting.forget()
            assert [one.model for one in done] == [model.id]
            successor = workspace.models.open(done[0].successor or done[0].waits)
            anew = workspace.models.family("adapter").fit(
                workspace.snapshots.open(successor.record["snapshot"]).rows(workspace.parties),
                parts=NoParts(),
                progress=silent,
            )
            assert successor.model.files() == anew.files()
