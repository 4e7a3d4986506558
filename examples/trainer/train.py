"""A language model by Hugging Face's Trainer, of what everybody agreed to: `python examples/trainer/train.py FOLDER`.

In two processes: `torchrun --nproc-per-node 2 examples/trainer/train.py FOLDER`, with a folder that is made already.
The model is tiny and starts from random weights; yours may be any. What matters are the block `with
workspace.models.training(...)` and the two methods of `PermittedTrainer`, by which a batch is judged last thing before
the model has it, however far loaders have read ahead.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch.utils.data import DataLoader
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from volition.records.stream.rows import Rows
from volition.workspace import Workspace

NAME, PURPOSE = "minutes", "train/summary"
PEOPLE = {"ada": "Ada Byron", "bo": "Bo Berg", "cy": "Cy Dean"}
MEETINGS, LINES, EPOCHS, VOCABULARY, LENGTH = 4, 24, 2, 400, 48
SAID = ("we move the launch to Friday", "nobody has tested the import", "the customer waits for an answer")


class PermittedTrainer(Trainer):
    """A Trainer that learns from what is permitted at the moment of each step."""

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Load rows sealed; each process reads its own share, so nobody deals them out again."""
        size, workers = self.args.per_device_train_batch_size, self.args.dataloader_num_workers
        return DataLoader(self.train_dataset, batch_size=size, num_workers=workers)

    def compute_loss(self, model: torch.nn.Module, inputs: Any, **options: Any) -> Any:  # noqa: ANN401 - as Trainer has it
        """Open a batch, which judges it, and learn from what is left of it; of nothing, nothing."""
        texts = [text_of(payload) for payload in inputs["payload"]]
        cut = {"padding": True, "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
        tokens = self.processing_class(texts or ["."], **cut).to(self.args.device)
        labels = tokens["input_ids"].masked_fill(tokens["attention_mask"] == 0, -100)
        loss = super().compute_loss(model, {**tokens, "labels": labels}, **options)
        return loss if texts else loss * 0  # a step all the same: other processes wait for this one's gradients


def text_of(payload: str) -> str:
    """Return what was said, of a row's payload."""
    return str(json.loads(payload)["text"])


def tokenizer_of(rows: Rows) -> PreTrainedTokenizerFast:
    """Learn a tokenizer from the rows that may be used now: it is a part of the model like any other."""

    def texts() -> Iterator[list[str]]:
        for batch in rows:
            yield [text_of(payload) for payload in batch["payload"].to_pylist()]

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = {"pad_token": "<pad>", "eos_token": "<eos>"}
    options = {"vocab_size": VOCABULARY, "special_tokens": [*special.values()], "initial_alphabet": alphabet}
    tokenizer.train_from_iterator(texts(), trainers.BpeTrainer(show_progress=False, **options))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def train(workspace: Workspace, snapshot: str, *callbacks: TrainerCallback, workers: int = 0) -> str | None:
    """Train from a snapshot; return the model's id, in the first of several processes."""
    set_seed(0)
    with tempfile.TemporaryDirectory() as scratch, workspace.models.training(NAME, snapshot=snapshot) as run:
        arguments = TrainingArguments(
            output_dir=scratch,  # what Trainer keeps for itself is no part of the model
            use_cpu=True,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=8,
            dataloader_num_workers=workers,
            learning_rate=1e-2,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        tokenizer = tokenizer_of(run.stream())
        ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
        config = GPT2Config(vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=32, n_layer=1, n_head=2, **ends)
        model = GPT2LMHeadModel(config)
        trainer = PermittedTrainer(
            model=model,
            args=arguments,
            train_dataset=run.stream().shuffled().to_torch(),
            processing_class=tokenizer,
            callbacks=list(callbacks),
        )
        result = trainer.train()
        model.save_pretrained(
            run.folder
        )  # weights as safetensors, settings as JSON: nothing that runs when it is opened
        tokenizer.save_pretrained(run.folder)
        run.record(epochs=EPOCHS, steps=result.global_step, loss=round(result.training_loss, 4))
    return run.model


def make(folder: Path) -> None:
    """Make a workspace in which everybody agreed, and collect what they said in meetings."""
    with Workspace.create(folder) as workspace:
        workspace.people.add_account("acme", "Acme")
        for person, name in PEOPLE.items():
            workspace.people.add_person(person, account="acme", name=name)
        workspace.terms.accept("acme")
        for party in ("account:acme", *(f"person:{person}" for person in PEOPLE)):
            workspace.consent.decide(party, yes=True, data=["content"], purpose=[PURPOSE], covers="past")
        for meeting in range(MEETINGS):
            # Ada and Bo meet in the even ones, Bo and Cy in the odd ones.
            names = list(PEOPLE.values())[meeting % 2 :][:2]
            said = [f"{names[line % 2]}: {SAID[line % 3]}" for line in range(LINES)]
            cues = [f"00:{line:02d}.000 --> 00:{line:02d}.900\n{text}\n\n" for line, text in enumerate(said)]
            file = folder / f"meeting-{meeting}.vtt"
            file.write_text("WEBVTT\n\n" + "".join(cues))
            started = datetime.now(UTC) - timedelta(hours=MEETINGS - meeting)
            workspace.records.collect_webvtt(file, account="acme", started=started)
        workspace.snapshots.create(PURPOSE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    told = parser.parse_args()
    if not told.folder.exists():
        make(told.folder)
    with Workspace.open(told.folder) as opened:
        [snapshot] = opened.snapshots.ids()
        print("model", train(opened, snapshot))
