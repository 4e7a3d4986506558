"""The network of the sentence encoder, all-MiniLM-L6-v2, written down as an ONNX graph around its weights.

It is loaded only where a sentence is encoded: onnx takes longer than most commands.

Sources: BERT, Devlin et al. 2019, arXiv:1810.04805; MiniLM, Wang et al. 2020, arXiv:2002.10957.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_WIDTH: Final = 384  # of a vector

_LAYERS: Final = 6
_HEADS: Final = 12
_SMALL_BYTES: Final = 1024  # a constant up to this size is written into the graph


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
        split = self.op("Reshape", x, self.whole(0, 0, _HEADS, _WIDTH // _HEADS))
        return self.op("Transpose", split, perm=list(order))


def write_network(weights: Mapping[str, NDArray[np.float32]]) -> tuple[bytes, dict[str, NDArray[np.generic]]]:
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

    scale = g.constant(np.float32((_WIDTH // _HEADS) ** -0.5))
    for layer in range(_LAYERS):
        name = f"encoder.layer.{layer}"
        query = g.heads(g.linear(x, f"{name}.attention.self.query"), (0, 2, 1, 3))
        key = g.heads(g.linear(x, f"{name}.attention.self.key"), (0, 2, 3, 1))
        value = g.heads(g.linear(x, f"{name}.attention.self.value"), (0, 2, 1, 3))
        attention = g.op("Softmax", g.op("Mul", g.op("MatMul", query, key), scale), axis=-1)
        mixed = g.op("Transpose", g.op("MatMul", attention, value), perm=[0, 2, 1, 3])
        joined = g.op("Reshape", mixed, g.whole(0, 0, _WIDTH))
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
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, _WIDTH])],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString()), g.arrays
