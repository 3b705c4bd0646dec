"""Dropout with the masks that CPU Caffe draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from caffe_compat import parallel, rng
from caffe_compat.layers.base import Gradients, Need, NeuronLayer, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Dropout(NeuronLayer):
    """TRAIN: top = bottom * mask / (1 - dropout_ratio), mask 0 with probability dropout_ratio. TEST: the identity,
    whatever the ratio.

    On the CPU the mask comes from the main random stream, one draw an element, bit for bit Caffe's. On a GPU it comes
    from torch's generator of that device (Caffe took cuRAND's).
    """

    type = "Dropout"
    follows_dtype = True
    no_onnx = "in phase TRAIN it draws a new mask at every forward"

    def setup(self, shapes: list[Shape]) -> None:
        # The ratio is a float in Caffe, 1 - ratio a double: what is rounded when decides about single draws.
        self.keep = 1.0 - float(self.param.dropout_param.dropout_ratio)
        if self.phase == caffe_pb2.TEST:
            return
        if not 0 < self.keep <= 1:
            nan = "; with 1 Caffe gets nan for every value" if self.keep == 0 else ""
            self.fail(f"dropout_ratio: {1 - self.keep:g}, expected 0 or more, and less than 1{nan}")
        self.scale = float(np.float32(1.0 / self.keep))

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        if self.phase == caffe_pb2.TEST:
            return x
        self.saved = self._mask(x)
        return (x * self.saved).mul_(self.scale)

    def _mask(self, x: Tensor) -> Tensor:
        """For the whole batch, where x is only one of several processes' part."""
        world = parallel.world()
        if x.device.type == "cpu":
            whole = torch.from_numpy(rng.main().bernoulli(world.size * x.numel(), self.keep))
            return whole.view(world.size, *x.shape)[world.rank]
        # In the order of the blob, however x lies in memory, which depends on the precision.
        return (torch.rand(world.size, *x.shape, dtype=torch.float32, device=x.device) < self.keep)[world.rank]

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        if self.phase != caffe_pb2.TEST:
            self.fail(f"phase TRAIN has no ONNX form: {self.no_onnx}")
        graph.node("Identity", bottoms, tops)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        if self.phase == caffe_pb2.TEST:
            return [diffs[0]], []
        return [(diffs[0] * self.saved).mul_(self.scale)], []
