"""BatchReindex: images chosen, repeated and reordered by index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class BatchReindex(Layer):
    """top[i] = bottom 0 [bottom 1 [i]]; the gradient of an image is the sum over its copies."""

    type = "BatchReindex"
    recordable = False
    num_bottoms = (2, 2)
    no_gradient = (1,)
    no_split = "it chooses among all images"

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if not shapes[0]:
            self.fail("bottom 0 has no axes; expected one of images")
        if len(shapes[1]) != 1:
            self.fail(f"bottom 1 has shape {list(shapes[1])}; expected one axis of indices")
        return [(*shapes[1], *shapes[0][1:])]

    def forward(self, *bottoms: Tensor) -> Tensor:
        x, index = bottoms[0], bottoms[1].detach().to(torch.int64)
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < len(x):
            self.fail(f"index in bottom 1 out of range: {index.tolist()}; the batch has {len(x)} images")
        return x.index_select(0, index)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.node("Gather", [bottoms[0], graph.cast(bottoms[1], np.int64)], tops)
