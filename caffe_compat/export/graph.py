"""An ONNX graph while the layers' rules build it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from caffe_compat.layers.base import Layer

Dims = tuple["int | str", ...]  # a shape; a name stands for a size that is known at run time only


class Graph:
    """Nodes, constants and the shapes of values.

    What a rule, a layer's ``onnx`` method, needs to know: values go by name, and are those of its bottoms, of its tops,
    or what ``node``, ``reshape``, ``constant`` and ``params`` return. The node that gives a top gets the layer's name,
    helpers get ``LAYER/OP``.

    Args:
        reserved: names of values that no helper may take.
    """

    def __init__(self, reserved: Iterable[str]) -> None:
        self.layer = ""  # whose rule is running; set by the exporter
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []
        self._dims: dict[str, Dims] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._aliases: dict[str, str] = {}
        self._shared: dict[int, str] = {}  # id of a parameter -> its constant
        self._values = set(reserved)
        self._node_names: set[str] = set()

    # For the rules

    def dims(self, value: str) -> Dims:
        """Shape of a bottom or top, with names for sizes that follow the batch."""
        return self._dims[value]

    def shape(self, value: str) -> tuple[int, ...]:
        """Shape of a bottom or top for the batch that the net has now."""
        return self._shapes[value]

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Append a node and return its first output, a new helper value unless ``outputs`` names tops."""
        name = unique(self.layer if outputs else f"{self.layer}/{op}", self._node_names)
        outputs = outputs or [unique(name, self._values)]
        inputs = [self.resolve(value) for value in inputs]
        self._nodes.append(helper.make_node(op, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def constant(self, values: ArrayLike, hint: str) -> str:
        """Store an array with its dtype and return its name, ``LAYER/HINT``."""
        name = unique(f"{self.layer}/{hint}", self._values)
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def params(self, layer: Layer, *hints: str) -> list[str]:
        """The layer's parameters as constants, once where layers share them. A hint for each that it can have."""
        names = []
        for parameter, hint in zip(layer.params, hints):
            if id(parameter) not in self._shared:
                self._shared[id(parameter)] = self.constant(parameter.detach().cpu().float().numpy(), hint)
            names.append(self._shared[id(parameter)])
        return names

    def reshape(self, value: str, dims: Sequence[int | str], outputs: Sequence[str] = ()) -> str:
        """Append a Reshape; one of the sizes may be a name or -1, that of the batch."""
        sizes = np.array([-1 if isinstance(size, str) else size for size in dims], np.int64)
        return self.node("Reshape", [value, self.constant(sizes, "shape")], outputs)

    def alias(self, top: str, value: str) -> None:
        """Let ``top`` be another name of ``value``, without a node."""
        self._aliases[top] = self.resolve(value)

    # For the exporter

    def declare(self, value: str, shape: tuple[int, ...], dims: Dims) -> None:
        """Make the shape of a bottom or top known."""
        self._shapes[value], self._dims[value] = shape, dims

    def resolve(self, value: str) -> str:
        """The value that an alias stands for; other values are themselves."""
        return self._aliases.get(value, value)

    def make(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.GraphProto:
        """The finished graph; every declared value carries its declared shape."""
        for output in outputs:
            if output in self._aliases:
                self.layer = output
                self.node("Identity", [self._aliases.pop(output)], [output])
        infos = {
            value: helper.make_tensor_value_info(value, TensorProto.FLOAT, dims) for value, dims in self._dims.items()
        }
        first, last = [infos[value] for value in inputs], [infos[value] for value in outputs]
        inside = [infos[value] for value in infos if value not in {*self._aliases, *inputs, *outputs}]
        return helper.make_graph(self._nodes, name, first, last, initializer=self._constants, value_info=inside)


def unique(name: str, used: set[str]) -> str:
    """``name``, or with a number behind it if that is taken; marks the result as taken."""
    candidate, number = name, 1
    while candidate in used:
        number += 1
        candidate = f"{name}_{number}"
    used.add(candidate)
    return candidate
