"""A model in half precision: half the size, and on GPUs with tensor cores several times as fast."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
SUFFIX: dict[int, str] = {FLOAT: "float", HALF: "half"}
FLT16_MAX = float(np.finfo(np.float16).max)

# Operators that gain from half precision, or only hand values through, and that do not overflow in it. Sums of
# squares, exponentials, means and what recurs over the time stay in single precision.
IN_HALF = {
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "Relu", "LeakyRelu", "MaxPool", "AveragePool", "Add", "Max"),
    *("Concat", "Flatten", "Reshape", "Slice", "Transpose", "Unsqueeze", "Squeeze", "Identity"),
}


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the operators ``IN_HALF``, and their constants, in float16; inputs and outputs keep their types.

    Names stay as they are. Where precision changes, a Cast gives the value as ``VALUE@half`` or ``VALUE@float``.
    """
    return _Converter(model).run()


class _Converter:
    """Goes through the nodes in order and keeps track of the type of every value."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = onnx.ModelProto.FromString(model.SerializeToString())
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
        infos = [*graph.value_info, *graph.input, *graph.output]
        self._types = {info.name: info.type.tensor_type.elem_type for info in infos}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._types.update({name: tensor.data_type for name, tensor in self._constants.items()})
        self._inside = {value for node in graph.node for value in _captured(node)}
        self._nodes: list[onnx.NodeProto] = []
        self._made: set[str] = set()  # casts and constants in the other precision

    def run(self) -> onnx.ModelProto:
        graph = self._model.graph
        outputs = {value.name for value in graph.output}
        for node in graph.node:
            wanted = HALF if self._in_half(node) else FLOAT
            node.input[:] = [self._as(value, wanted) for value in node.input]
            tops = [value for value in node.output if wanted == HALF and self._types[value] == FLOAT]
            self._types.update(dict.fromkeys(tops, HALF))
            self._nodes.append(node)
            for top in outputs.intersection(tops):
                hidden = f"{top}@half"
                node.output[list(node.output).index(top)] = hidden
                self._types.update({hidden: HALF, top: FLOAT})
                self._made.add(hidden)
                self._cast(hidden, top, FLOAT)
        self._finish(graph)
        return self._model

    def _in_half(self, node: onnx.NodeProto) -> bool:
        constants = [self._constants[value] for value in node.input if value in self._constants]
        floats = [numpy_helper.to_array(tensor) for tensor in constants if tensor.data_type == FLOAT]
        scales = node.op_type == "Mul" and bool(floats)  # but not a square, which may overflow
        fits = all(np.abs(values).max(initial=0) <= FLT16_MAX for values in floats)
        return (node.op_type in IN_HALF or scales) and fits and not self._inside.intersection(node.output)

    def _as(self, value: str, wanted: int) -> str:
        """The value, or another one with the same content, in the precision wanted; other types stay."""
        have = self._types.get(value)
        if have == wanted or have not in (FLOAT, HALF):
            return value
        other = f"{value}@{SUFFIX[wanted]}"
        if other not in self._made:
            self._made.add(other)
            self._types[other] = wanted
            if value in self._constants:
                array = numpy_helper.to_array(self._constants[value]).astype(np.float16)
                self._constants[other] = numpy_helper.from_array(array, other)
            else:
                self._cast(value, other, wanted)
        return other

    def _cast(self, value: str, result: str, to: int) -> None:
        self._nodes.append(helper.make_node("Cast", [value], [result], name=f"{result}/Cast", to=to))

    def _finish(self, graph: onnx.GraphProto) -> None:
        del graph.node[:]
        graph.node.extend(self._nodes)
        used = {value for node in self._nodes for value in [*node.input, *_captured(node)]}
        del graph.initializer[:]
        graph.initializer.extend(tensor for name, tensor in self._constants.items() if name in used)
        for info in graph.value_info:
            info.type.tensor_type.elem_type = self._types[info.name]


def _captured(node: onnx.NodeProto) -> list[str]:
    """Values that the graphs within a node use; those of its own are among them, which does no harm."""
    graphs = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return [value for graph in graphs for inner in graph.node for value in inner.input]
