"""SPP: spatial pyramid pooling, an output of one size for images of any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from caffe_compat.autograd import apply
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.pooling import Pooling
from caffe_compat.layers.registry import register
from caffe_compat.layers.spatial import check_images
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class SPP(Layer):
    """For each level i below ``pyramid_height`` a pooling into 2^i x 2^i bins, flattened; all of them concatenated.

    Kernel and stride are ceil(size / bins), the padding half of what is then too much. A single level stays as it is.
    """

    type = "SPP"

    def setup(self, shapes: list[Shape]) -> None:
        if self.param.spp_param.pyramid_height < 1:
            self.fail(f"pyramid_height: {self.param.spp_param.pyramid_height}, expected at least 1")
        self._pools: tuple[Shape, list[Pooling]] = ((), [])

    def levels(self, shape: Shape) -> list[Pooling]:
        """The poolings for a bottom of that shape; made anew for a new shape only, since that takes milliseconds."""
        check_images(self, shape)
        if self._pools[0] != shape:
            self._pools = shape, self._make(shape)
        return self._pools[1]

    def _make(self, shape: Shape) -> list[Pooling]:
        pools = []
        for level in range(self.param.spp_param.pyramid_height):
            pool = Pooling(self._level(2**level, shape), self.phase, self.where)
            pool.setup([shape])
            pools.append(pool)
        return pools

    def _level(self, bins: int, shape: Shape) -> Any:
        param = caffe_pb2.LayerParameter(name=self.name, type="Pooling", top=["level"])
        param.pooling_param.pool = self.param.spp_param.pool
        for axis, size in (("h", shape[2]), ("w", shape[3])):
            kernel = -(-size // bins)
            setattr(param.pooling_param, f"kernel_{axis}", kernel)
            setattr(param.pooling_param, f"stride_{axis}", kernel)
            setattr(param.pooling_param, f"pad_{axis}", (kernel * bins - size + 1) // 2)
        return param

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        tops = [pool.reshape(shapes)[0] for pool in self.levels(shapes[0])]
        if len(tops) == 1:
            return tops
        return [(shapes[0][0], sum(channels * height * width for _, channels, height, width in tops))]

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        tops = [apply(pool, [x])[0] for pool in self.levels(tuple(x.shape))]
        return tops[0] if len(tops) == 1 else torch.cat([top.flatten(1) for top in tops], 1)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        (x,) = bottoms
        levels = [pool.pooled(graph, x)[0] for pool in self.levels((1, *graph.sizes(x, 1)))]
        if len(levels) == 1:
            graph.give(levels[0], tops[0])
        else:
            graph.node("Concat", [graph.node("Flatten", [level]) for level in levels], tops, axis=1)
