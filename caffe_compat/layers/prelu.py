"""PReLU: a leaky ReLU whose slope is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class PReLU(NeuronLayer):
    """top = max(bottom, 0) + slope[channel] * min(bottom, 0); slope: (channels,), or () with ``channel_shared``."""

    type = "PReLU"

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.prelu_param
        self.channels = self._channels(shapes[0])
        filler = param.filler if param.HasField("filler") else caffe_pb2.FillerParameter(type="constant", value=0.25)
        self.add_param(() if param.channel_shared else (self.channels,), filler)

    def _channels(self, shape: Shape) -> int:
        if len(shape) < 2:
            self.fail(f"bottom of shape {list(shape)}; expected at least 2 axes")
        return shape[1]

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if self._channels(shapes[0]) != self.channels and not self.param.prelu_param.channel_shared:
            self.fail(
                f"bottom of shape {list(shapes[0])}; expected {self.channels} channels, a slope for each of which"
            )
        return shapes

    def forward(self, *bottoms: Tensor) -> Tensor:
        return F.prelu(bottoms[0], self.params[0].view(-1))

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        ones = 0 if self.param.prelu_param.channel_shared else len(graph.dims(bottoms[0])) - 2
        graph.node("PRelu", [*bottoms, *graph.params(self, "slope", ones=ones)], tops)
