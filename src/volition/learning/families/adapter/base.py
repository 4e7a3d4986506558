"""The base model of an adapter: a frozen Llama with room for low-rank updates, on torch, imported where it is used.

A base is a folder as the Hugging Face libraries write it: `config.json` of a Llama, weights as safetensors, never as
a pickle, and `tokenizer.json`. Nothing is downloaded, and nothing in the folder is executed.

To the query and value matrices W of every layer an update B A is added. A is drawn once and never trained; only B is,
from zero. So the mean of several updates is the update by the mean of their B: shards are mixed exactly, at the cost of
one. Clipping and noise act on B alone, of which the update is a linear function.

Sources: LoRA, Hu et al. 2022, arXiv:2106.09685, through `peft`; A frozen for private and for mixed training, Sun et al.
2024, arXiv:2403.12313.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from volition.canonical import canonical_json, digest
from volition.errors import BackendError, InvalidInputError
from volition.learning.dp import draw
from volition.learning.families.adapter.shards import Tokens
from volition.learning.families.adapter.training import Weights

INSTALL: Final = "Install torch, a build that fits this machine, then: pip install 'volition[train]'."

_TARGETS: Final = ("q_proj", "v_proj")
_ADAPTER: Final = "mean"
_SCALE: Final = 2.0  # by which B A counts: alpha is twice the rank, as is usual
_TOGETHER: Final = 32  # texts of one length that are scored at once
_NEEDED: Final = ("torch", "transformers", "peft", "tokenizers")


class AdapterMissingError(BackendError):
    """The packages of the extra `train` are not installed."""


def base_digest(folder: Path) -> str:
    """Return the digest of a base model: SHA-256 of the canonical JSON of each file's name and digest.

    Raises:
        InvalidInputError: The folder holds no base model.
    """
    weights = sorted(folder.glob("*.safetensors"))
    needed = [folder / "config.json", folder / "tokenizer.json", *weights]
    lacking = [path.name for path in needed if not path.is_file()] or ([] if weights else ["*.safetensors"])
    if lacking:
        msg = (
            f"{folder} is no base model: it has no {lacking[0]}. [adapter] base in volition.toml names a folder with "
            "config.json, tokenizer.json and weights as safetensors."
        )
        raise InvalidInputError(msg)
    found = {}
    for path in needed:
        with path.open("rb") as file:
            found[path.name] = file_digest(file, "sha256").hexdigest()
    return digest(canonical_json(found))


class Base:
    """A frozen Llama that predicts texts, with or without an update. Implements `adapter_training.Learner`.

    Guarantees:
        - On one machine, device and number of threads, the same question has the same answer, to the last bit.
        - The base's own weights are never written.
    """

    def __init__(self, model: Any, tokenizer: Any, *, folder: Path, threads: int, device: str) -> None:  # noqa: ANN401
        """Take a model that `peft` has wrapped; use `Base.open` instead."""
        self._model = model
        self._tokenizer = tokenizer
        self._threads = threads
        self._device = device
        self.name = folder.name
        self.digest = base_digest(folder)
        self.end: int = _end(model.config, folder)
        named = dict(model.named_parameters())
        self._fixed = [named[name] for name in sorted(named) if ".lora_A." in name]
        self._trained = [named[name] for name in sorted(named) if ".lora_B." in name]
        self.size = sum(parameter.numel() for parameter in self._trained)
        for parameter in model.parameters():
            parameter.requires_grad_(requires_grad=False)
        for parameter in self._trained:
            parameter.requires_grad_(requires_grad=True)

    @classmethod
    def open(cls, folder: Path, *, rank: int, threads: int, device: str) -> Self:
        """Load a base model and make room for updates.

        Args:
            folder: Where it lies.
            rank: Rank of the updates.
            threads: Threads of the processor to compute on.
            device: Such as "cpu" or "cuda".

        Raises:
            AdapterMissingError: The packages of the extra `train` are not installed.
            InvalidInputError: The folder holds no base model.
            BackendError: It does not load, or there is no such device.
        """
        lacking = [name for name in _NEEDED if find_spec(name) is None]
        if lacking:
            raise AdapterMissingError(f"An adapter needs {', '.join(lacking)}, not installed here. {INSTALL}")
        base_digest(folder)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it a GPU's sums differ from run to run
        import torch  # noqa: PLC0415 - seconds to import, and perhaps not there
        from peft import LoraConfig, get_peft_model  # noqa: PLC0415
        from tokenizers import Tokenizer  # noqa: PLC0415
        from transformers import LlamaForCausalLM  # noqa: PLC0415
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        disable_progress_bar()
        try:
            with warnings.catch_warnings():  # what the libraries say to one another
                warnings.simplefilter("ignore", FutureWarning)
                bare = LlamaForCausalLM.from_pretrained(
                    folder,
                    local_files_only=True,
                    use_safetensors=True,
                    dtype=torch.float32,
                    attn_implementation="eager",
                )
                room = LoraConfig(
                    r=rank, lora_alpha=_SCALE * rank, lora_dropout=0.0, target_modules=list(_TARGETS), bias="none"
                )
                model = get_peft_model(bare, room, adapter_name=_ADAPTER).to(device).eval()
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # four libraries, each with errors of its own
            msg = f"The base model in {folder} does not load on {device!r}: {error}. It must be a Llama."
            raise BackendError(msg) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(model, tokenizer, folder=folder, threads=threads, device=device)

    def fixed(self) -> Weights:
        """Return the A of every update, drawn for this base and rank: the same in every shard and every training."""
        generator = np.random.Generator(np.random.Philox(key=draw("fixed", self.digest)))
        drawn = [generator.uniform(-1.0, 1.0, tuple(matrix.shape)) / np.sqrt(matrix.shape[1]) for matrix in self._fixed]
        return np.concatenate([matrix.ravel() for matrix in drawn]).astype(np.float32)

    def set_fixed(self, fixed: Weights) -> None:
        """Set the A of every update.

        Raises:
            InvalidInputError: It was made for a base or a rank of another size.
        """
        self._set(self._fixed, fixed)

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens, without an end."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        return str(self._tokenizer.decode(list(tokens)))

    def gradient(self, weights: Weights, tokens: Tokens) -> tuple[float, Weights]:
        """Return the mean loss of a text's tokens, in nats, and its gradient by the weights.

        Args:
            weights: Shape (size,), the B of every update.
            tokens: At least two; each but the first is predicted from those before it.
        """
        import torch  # noqa: PLC0415

        with self._steady(), torch.enable_grad():
            self._set(self._trained, weights)
            self._model.zero_grad(set_to_none=True)
            batch = torch.as_tensor(tokens.astype(np.int64)[None], device=self._device)
            loss = -self._scores(batch).mean()
            loss.backward()
            found = [parameter.grad.detach().to("cpu").numpy().ravel() for parameter in self._trained]
        return float(loss.detach()), np.concatenate(found).astype(np.float32)

    def log_likelihoods(self, weights: Weights | None, texts: Sequence[Tokens]) -> list[float]:
        """Return the natural logarithm of each text's likelihood, all tokens together but the first, which is given.

        Args:
            weights: The B of every update; none asks the base alone.
            texts: Tokens, two at least.
        """
        import torch  # noqa: PLC0415

        found = np.zeros(len(texts))
        by_length: dict[int, list[int]] = {}
        for place, tokens in enumerate(texts):
            by_length.setdefault(len(tokens), []).append(place)
        with self._steady(), torch.no_grad(), self._updated(weights):
            for length in sorted(by_length):  # without padding, so nothing is said of tokens that are not there
                places = by_length[length]
                for start in range(0, len(places), _TOGETHER):
                    some = places[start : start + _TOGETHER]
                    batch = torch.as_tensor(np.stack([texts[at] for at in some]).astype(np.int64), device=self._device)
                    found[some] = self._scores(batch).double().sum(dim=1).cpu().numpy()
        return [float(value) for value in found]

    def go_on(self, weights: Weights | None, tokens: Sequence[int], most: int) -> list[int]:
        """Return the likeliest next tokens, each after those before it, until the text ends.

        Args:
            weights: The B of every update; none asks the base alone.
            tokens: What is there, one token at least.
            most: How many tokens at most.
        """
        import torch  # noqa: PLC0415

        with self._steady(), torch.no_grad(), self._updated(weights):
            given = torch.as_tensor([list(tokens)], device=self._device)
            made = self._model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=most,
                do_sample=False,
                eos_token_id=self.end,
                pad_token_id=self.end,
            )
        return [int(token) for token in made[0, len(tokens) :].tolist() if token != self.end]

    def _scores(self, batch: Any) -> Any:  # noqa: ANN401 - torch may not be installed
        """Return log-probabilities, shape (texts, tokens - 1), of each token but the first."""
        import torch  # noqa: PLC0415

        logits = self._model(input_ids=batch, use_cache=False).logits[:, :-1].float()
        chosen = logits.gather(2, batch[:, 1:, None])[:, :, 0]
        return chosen - torch.logsumexp(logits, dim=2)

    @contextmanager
    def _updated(self, weights: Weights | None) -> Iterator[None]:
        if weights is None:
            with self._model.disable_adapter():
                yield
        else:
            self._set(self._trained, weights)
            yield

    @contextmanager
    def _steady(self) -> Iterator[None]:
        """Compute in one way only, and leave torch as it was found."""
        import torch  # noqa: PLC0415

        threads, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        torch.set_num_threads(self._threads)
        torch.use_deterministic_algorithms(mode=True)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(mode=exact)

    @staticmethod
    def _set(parameters: Sequence[Any], values: Weights) -> None:
        import torch  # noqa: PLC0415

        if values.shape != (sum(parameter.numel() for parameter in parameters),):
            msg = f"An adapter of {values.size} weights does not fit this base and rank. Train it again."
            raise InvalidInputError(msg)
        start = 0
        with torch.no_grad():
            for parameter in parameters:
                own = values[start : start + parameter.numel()].reshape(tuple(parameter.shape))
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(own)))
                start += parameter.numel()


def _end(config: Any, folder: Path) -> int:  # noqa: ANN401 - transformers may not be installed
    end = config.eos_token_id
    if not isinstance(end, int):
        msg = f"The base model in {folder} names no single token that ends a text (eos_token_id in config.json)."
        raise InvalidInputError(msg)
    return end


def settings_of(base: Base) -> Mapping[str, str]:
    """Return how a model names its base."""
    return {"name": base.name, "digest": base.digest}
