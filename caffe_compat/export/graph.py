"""An ONNX graph while the layers' rules build it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from caffe_compat.layers.base import Layer

Dims = tuple["int | str", ...]  # a shape; a name stands for a size that is known at run time only


class FixedSizeNeeded(Exception):
    """A rule needs to know a size that was to be known at run time only."""


class Graph:
    """Nodes, constants and the shapes of values.

    What a rule, a layer's ``onnx`` method, needs to know: values go by name, and are those of its bottoms, of its tops,
    or what the methods return. The node that gives a top gets the layer's name, helpers get ``LAYER/OP``.

    Args:
        reserved: names of values that no helper may take.
    """

    def __init__(self, reserved: Iterable[str]) -> None:
        self.layer = ""  # whose rule is running; set by the exporter
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []
        self._dims: dict[str, Dims] = {}
        self._aliases: dict[str, str] = {}
        self._shared: dict[tuple[int, int], str] = {}  # id of a parameter and axes behind it -> its constant
        self._values = set(reserved)
        self._node_names: set[str] = set()

    # For the rules: shapes

    def dims(self, value: str) -> Dims:
        """Shape of a bottom or top, with names for sizes that are known at run time only."""
        return self._dims[value]

    def size(self, value: str, axis: int) -> int:
        """One size of a bottom or top, where the rule cannot do without the number."""
        size = self._dims[value][axis]
        if isinstance(size, str):
            raise FixedSizeNeeded
        return size

    def sizes(self, value: str, first: int = 0) -> tuple[int, ...]:
        """The sizes of a bottom or top from axis ``first`` on."""
        return tuple(self.size(value, axis) for axis in range(first, len(self._dims[value])))

    # For the rules: nodes

    def nodes(self, op: str, inputs: Sequence[str], outputs: int | Sequence[str], **attributes: Any) -> list[str]:
        """Append a node and return its outputs: so many new helper values, or those named."""
        helpers = isinstance(outputs, int)
        names = [self._new(op) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        name = unique(f"{self.layer}/{op}" if helpers else self.layer, self._node_names)
        inputs = [self.resolve(value) for value in inputs]
        self._nodes.append(helper.make_node(op, inputs, names, name=name, **attributes))
        return names

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Append a node and return its only output, a new helper value unless ``outputs`` names a top."""
        return self.nodes(op, inputs, outputs or 1, **attributes)[0]

    def give(self, value: str, top: str) -> None:
        """Let ``top`` be what a helper value was, if a node of this rule computes that; otherwise copy it."""
        last = self._nodes[-1] if self._nodes else None
        if last is None or value not in last.output or not last.name.startswith(f"{self.layer}/"):
            self.node("Identity", [value], [top])
            return
        last.output[list(last.output).index(value)] = top
        self._node_names.discard(last.name)
        last.name = unique(self.layer, self._node_names)

    def alias(self, top: str, value: str) -> None:
        """Let ``top`` be another name of ``value``, without a node."""
        self._aliases[top] = self.resolve(value)

    def constant(self, values: ArrayLike, hint: str) -> str:
        """Store an array with its dtype and return its name, ``LAYER/HINT``."""
        name = self._new(hint)
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def integers(self, values: Iterable[int], hint: str) -> str:
        """A one-dimensional int64 constant, as operators take shapes, axes and limits."""
        return self.constant(np.array(list(values), np.int64), hint)

    def params(self, layer: Layer, *hints: str, ones: int = 0) -> list[str]:
        """The layer's parameters as constants, once where layers share them. A hint for each that it can have.

        ``ones``: axes of size 1 to append to each, so that it broadcasts.
        """
        names = []
        for parameter, hint in zip(layer.params, hints):
            key = (id(parameter), ones)
            if key not in self._shared:
                values = parameter.detach().cpu().float().numpy()
                self._shared[key] = self.constant(values.reshape((*values.shape, *[1] * ones)), hint)
            names.append(self._shared[key])
        return names

    def times(self, value: str, factor: float) -> str:
        """Value * factor, without a node where that changes nothing."""
        return value if factor == 1 else self.node("Mul", [value, self.constant(np.float32(factor), "factor")])

    def plus(self, value: str, summand: float) -> str:
        """Value + summand, without a node where that changes nothing."""
        return value if summand == 0 else self.node("Add", [value, self.constant(np.float32(summand), "summand")])

    def cast(self, value: str, dtype: Any) -> str:
        """The value in another numpy dtype."""
        return self.node("Cast", [value], to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def mean(self, value: str, axes: Sequence[int]) -> str:
        """Mean over axes, which stay as 1; over no axes the value itself."""
        return self.node("ReduceMean", [value], axes=axes) if axes else value

    def reshape(self, value: str, dims: Sequence[int | str], outputs: Sequence[str] = ()) -> str:
        """Append a Reshape. One of the sizes may be a name or -1, what is left; 0 is the value's size at that place."""
        sizes = [-1 if isinstance(size, str) else size for size in dims]
        if sizes.count(-1) > 1:
            raise FixedSizeNeeded
        return self.node("Reshape", [value, self.integers(sizes, "shape")], outputs)

    def unsqueeze(self, value: str, axes: Sequence[int]) -> str:
        """New axes of size 1; without axes the value itself."""
        return self.node("Unsqueeze", [value, self.integers(axes, "axes")]) if axes else value

    def slice(self, value: str, axis: int, begin: int, end: int, step: int = 1) -> str:
        """The part of an axis from ``begin`` to before ``end``."""
        limits = {"begin": begin, "end": end, "axis": axis, "step": step}
        return self.node("Slice", [value, *(self.integers([limit], name) for name, limit in limits.items())])

    @contextmanager
    def body(self, name: str, inputs: Sequence[str], outputs: list[str]) -> Iterator[onnx.GraphProto]:
        """Nodes appended inside become a graph of their own, for an operator that repeats it; complete on leaving.

        Args:
            inputs: values that the operator passes in, made with ``value``.
            outputs: to be filled with what it passes out.
        """
        graph, outside = onnx.GraphProto(), self._nodes
        self._nodes = []
        try:
            yield graph
            first, last = ([_info(value, None) for value in values] for values in (inputs, outputs))
            graph.CopyFrom(helper.make_graph(self._nodes, name, first, last))
        finally:
            self._nodes = outside

    def value(self, hint: str) -> str:
        """A new helper value, ``LAYER/HINT``."""
        return self._new(hint)

    def _new(self, hint: str) -> str:
        return unique(f"{self.layer}/{hint}", self._values)

    # For the exporter

    def declare(self, value: str, dims: Dims) -> None:
        """Make the shape of a bottom or top known."""
        self._dims[value] = dims

    def resolve(self, value: str) -> str:
        """The value that an alias stands for; other values are themselves."""
        return self._aliases.get(value, value)

    def make(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.GraphProto:
        """The finished graph; every declared value carries its declared shape."""
        for output in outputs:
            if output in self._aliases:
                self.layer = output
                self.node("Identity", [self._aliases.pop(output)], [output])
        infos = {value: _info(value, dims) for value, dims in self._dims.items()}
        first, last = [infos[value] for value in inputs], [infos[value] for value in outputs]
        inside = [infos[value] for value in infos if value not in {*self._aliases, *inputs, *outputs}]
        return helper.make_graph(self._nodes, name, first, last, initializer=self._constants, value_info=inside)


def _info(value: str, dims: Dims | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value, TensorProto.FLOAT, dims)


def unique(name: str, used: set[str]) -> str:
    """``name``, or with a number behind it if that is taken; marks the result as taken."""
    candidate, number = name, 1
    while candidate in used:
        number += 1
        candidate = f"{name}_{number}"
    used.add(candidate)
    return candidate
