"""Filter: the images that a selector chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Filter(Layer):
    """Each top is its bottom without the images for which the last bottom, (num,) or (num, 1, 1, 1), is 0."""

    type = "Filter"
    recordable = False
    num_bottoms = (2, None)
    num_tops = (1, None)
    counts_in_forward = True
    no_split = "how many images remain differs from part to part"

    def setup(self, shapes: list[Shape]) -> None:
        self.no_gradient = (len(shapes) - 1,)  # the selector, wherever it stands
        if len(self.param.top) != len(shapes) - 1:
            self.fail(f"{len(self.param.top)} tops for {len(shapes) - 1} bottoms and a selector; expected as many tops")
        for name in set(self.param.top).intersection(self.param.bottom):
            self.fail(f"in-place top {name!r}; expected another blob, since its size is not the bottom's")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        """How many images remain is known in forward only; until then all of them."""
        *bottoms, selector = shapes
        if not selector or any(size != 1 for size in selector[1:]):
            self.fail(f"the selector has shape {list(selector)}; expected one value for each image")
        for i, shape in enumerate(bottoms):
            if shape[:1] != selector[:1]:
                self.fail(f"bottom {i} has the shape {list(shape)}; the selector is for {selector[0]} images")
        return bottoms

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        *bottoms_, selector = bottoms
        index = selector.detach().reshape(-1).nonzero()[:, 0]
        return tuple(x.index_select(0, index) for x in bottoms_)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        *values, selector = bottoms
        chosen = graph.cast(graph.reshape(selector, [-1]), np.bool_)
        for value, top in zip(values, tops):
            graph.node("Compress", [value, chosen], [top], axis=0)
