"""Eltwise: product, weighted sum or maximum of several blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph

PROD, SUM, MAX = (getattr(caffe_pb2.EltwiseParameter, name) for name in ("PROD", "SUM", "MAX"))


@register
class Eltwise(Layer):
    """PROD: the product. SUM: the sum of coeff * bottom. MAX: the largest.

    Where the first two bottoms of MAX are equal, the second counts as the larger; a later one has to exceed them
    (eltwise_layer.cpp). PROD's gradient multiplies the other bottoms; with ``stable_prod_grad: false`` it divides the
    top by the bottom, which is nan at 0.
    """

    type = "Eltwise"
    num_bottoms = (2, None)

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.eltwise_param
        if len(param.coeff) not in (0, len(shapes)):
            self.fail(f"Eltwise Layer takes one coefficient per bottom blob; got {len(param.coeff)} for {len(shapes)}")
        if param.operation == PROD and param.coeff:
            self.fail("Eltwise layer only takes coefficients for summation")
        self.coeff = list(param.coeff) or [1.0] * len(shapes)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                self.fail(f"bottom[0]: {list(shapes[0])}, bottom[{i}]: {list(shape)}; expected equal shapes")
        return shapes[:1]

    def forward(self, *bottoms: Tensor) -> Tensor:
        operation = self.param.eltwise_param.operation
        if operation == SUM:
            top = bottoms[0] if self.coeff[0] == 1 else bottoms[0] * self.coeff[0]
            for x, coeff in zip(bottoms[1:], self.coeff[1:]):
                top = torch.add(top, x, alpha=coeff)
            return top
        if operation == PROD:
            top = bottoms[0] * bottoms[1]
            for x in bottoms[2:]:
                top = top * x
            self.saved = (bottoms, top)
            return top
        winner = (bottoms[1] >= bottoms[0]).to(torch.int64)
        top = torch.where(winner > 0, bottoms[1], bottoms[0])
        for i, x in enumerate(bottoms[2:], start=2):
            winner = torch.where(x > top, i, winner)
            top = torch.where(x > top, x, top)
        self.saved = winner
        return top

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        operation = self.param.eltwise_param.operation
        if operation == MAX:
            graph.node("Max", bottoms, tops)
            return
        total, *others = map(graph.times, bottoms, self.coeff)
        for other in others:
            total = graph.node("Mul" if operation == PROD else "Add", [total, other])
        graph.give(total, tops[0])

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        operation, diff = self.param.eltwise_param.operation, diffs[0]
        if operation == SUM:
            return [diff * coeff for coeff in self.coeff], []
        if operation == MAX:
            return [diff * (self.saved == i) for i in range(len(need.bottoms))], []
        bottoms, top = self.saved
        if not self.param.eltwise_param.stable_prod_grad:
            return [top / x * diff for x in bottoms], []
        grads: list[Tensor | None] = []
        for i in range(len(bottoms)):
            grad = diff
            for j, x in enumerate(bottoms):
                grad = grad if i == j else grad * x
            grads.append(grad)
        return grads, []
