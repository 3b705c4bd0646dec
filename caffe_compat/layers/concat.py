"""Concat along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Concat(Layer):
    """top = the bottoms one behind the other along ``axis`` (default 1; ``concat_dim`` is its older name)."""

    type = "Concat"
    follows_dtype = True
    num_bottoms = (1, None)
    keeps_top = False

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.concat_param
        if param.HasField("axis") and param.HasField("concat_dim"):
            self.fail("either axis or concat_dim should be specified, not both")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        first, param = shapes[0], self.param.concat_param
        name = "concat_dim" if param.HasField("concat_dim") else "axis"
        self.along = self.axis(getattr(param, name), first, name)
        for i, shape in enumerate(shapes):
            if len(shape) != len(first) or any(
                a != b for axis, (a, b) in enumerate(zip(shape, first)) if axis != self.along
            ):
                self.fail(
                    f"bottom {i} has shape {list(shape)}, bottom 0 {list(first)}; only axis {self.along} may differ"
                )
        total = sum(shape[self.along] for shape in shapes)
        self.sizes = [shape[self.along] for shape in shapes]
        return [(*first[: self.along], total, *first[self.along + 1 :])]

    def forward(self, *bottoms: Tensor) -> Tensor:
        self.sizes = [x.shape[self.along] for x in bottoms]
        return torch.cat(bottoms, self.along)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.node("Concat", bottoms, tops, axis=self.along)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        parts = diffs[0].split(self.sizes, self.along)
        return [part.contiguous() if wanted else None for part, wanted in zip(parts, need.bottoms)], []
