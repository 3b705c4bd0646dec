"""InnerProduct: the fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class InnerProduct(Layer):
    """top = bottom · weightᵀ + bias, the bottom's axes from ``axis`` on (default 1) flattened to one.

    Weight: (num_output, inputs), or (inputs, num_output) with ``transpose``; bias: (num_output,).
    """

    type = "InnerProduct"
    keeps_top = False
    multiplies = True

    def setup(self, shapes: list[Shape]) -> None:
        ip = self.param.inner_product_param
        self.first = self.axis(ip.axis, shapes[0])
        self.transpose: bool = ip.transpose
        inputs = math.prod(shapes[0][self.first :])
        if ip.num_output < 1:
            self.fail(f"num_output: {ip.num_output}, expected at least 1")
        self.add_param((inputs, ip.num_output) if self.transpose else (ip.num_output, inputs), ip.weight_filler)
        if ip.bias_term:
            self.add_param((ip.num_output,), ip.bias_filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        outputs, inputs = self._weight().shape
        given = math.prod(shapes[0][self.first :])
        if given != inputs:
            self.fail(f"bottom of shape {list(shapes[0])} gives {given} inputs; the weights are for {inputs}")
        return [(*shapes[0][: self.first], outputs)]

    def _weight(self) -> Tensor:
        """As (outputs, inputs)."""
        return self.params[0].t() if self.transpose else self.params[0]

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        weight, bias = self.precision.factor(self._weight()), self.params[1] if len(self.params) > 1 else None
        rows = self.precision.factor(x).reshape(-1, weight.shape[1])
        self.saved = (x.shape, rows, weight.detach())
        if weight.dtype == torch.bfloat16:
            top = self.precision.product(rows, weight.t())
            top = top if bias is None else top.add_(bias)
        else:
            top = torch.nn.functional.linear(rows, weight, bias)
        return top.view(*x.shape[: self.first], weight.shape[0])

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        weight, *bias = graph.params(self, "weight", "bias")
        (x,), axes = bottoms, len(graph.dims(bottoms[0]))
        if self.first > 1:  # a product that leaves the first axes as they are, whatever their sizes
            rows = x if axes == self.first + 1 else graph.reshape(x, [*[0] * self.first, -1])
            across = weight if self.transpose else graph.node("Transpose", [weight], perm=[1, 0])
            product = graph.node("MatMul", [rows, across])
            graph.give(graph.node("Add", [product, *bias]) if bias else product, tops[0])
            return
        rows = x if self.first == 1 and axes == 2 else graph.node("Flatten", [x], axis=self.first)
        product = graph.node("Gemm", [rows, weight, *bias], transB=int(not self.transpose))
        if self.first == 1:
            graph.give(product, tops[0])
        else:
            graph.reshape(product, graph.dims(tops[0]), tops)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        shape, rows, weight = self.saved
        diff = self.precision.factor(diffs[0]).reshape(-1, weight.shape[0])
        params: list[Tensor | None] = [None] * len(need.params)
        if need.params[0]:
            factors = (rows.t(), diff) if self.transpose else (diff.t(), rows)
            params[0] = self.precision.product(*factors)
        if len(params) > 1 and need.params[1]:
            params[1] = diff.sum(0, dtype=self.params[1].dtype)
        return [self.precision.product(diff, weight).view(shape) if need.bottoms[0] else None], params
