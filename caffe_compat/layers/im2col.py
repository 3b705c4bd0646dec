"""Im2col: every window of a convolution as a column of channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.convolution_nd import fits
from caffe_compat.layers.registry import register
from caffe_compat.layers.spatial import read_window

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Im2col(Layer):
    """top: (batch, channels * kernel size, output size...), the values that each output of a convolution would see."""

    type = "Im2col"
    no_onnx = (
        "ONNX's Conv, which does it, is for 1 to 3 spatial axes, no dilation of 0, kernels no larger than the bottom"
    )

    def setup(self, shapes: list[Shape]) -> None:
        conv = self.param.convolution_param
        self.channel_axis = self.axis(conv.axis, shapes[0])
        axes = len(shapes[0]) - self.channel_axis - 1
        if axes < 1:
            self.fail(f"bottom of shape {list(shapes[0])} has no spatial axis behind axis {conv.axis}")
        self.window = read_window(self, conv, axes)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        shape, channel = shapes[0], self.channel_axis
        if len(shape) != channel + 1 + len(self.window.kernel):
            self.fail(f"bottom of shape {list(shape)}; expected as many axes as when the layer was made")
        size = self.window.convolved(shape[channel + 1 :])
        if min(size) < 1:
            self.fail(f"kernel {list(self.window.extent)} is larger than the padded bottom {list(shape)}")
        return [(*shape[:channel], shape[channel] * math.prod(self.window.kernel), *size)]

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        window, axes = self.window, len(self.window.kernel)
        top_shape = self.reshape([tuple(x.shape)])[0]
        x = F.pad(x, window.beyond(tuple(x.shape[self.channel_axis + 1 :])))  # zeros where Caffe's windows find them
        if axes == 2 and all(window.dilation):  # torch has it for images, several times as fast
            images = x.reshape(math.prod(x.shape[: self.channel_axis]), *x.shape[self.channel_axis :])
            return F.unfold(images, window.kernel, window.dilation, window.pad, window.stride).view(top_shape)
        x = F.pad(x, [p for pad in reversed(window.pad) for p in (pad, pad)])
        # One spatial axis after the other becomes two, kernel and output; the kernels then move next to the channels.
        for i in range(axes):
            axis, size = self.channel_axis + 1 + 2 * i, top_shape[self.channel_axis + 1 + i]
            inner = torch.arange(window.kernel[i], device=x.device)[:, None] * window.dilation[i]
            index = inner + torch.arange(size, device=x.device) * window.stride[i]
            x = x.index_select(axis, index.flatten()).unflatten(axis, index.shape)
        first = self.channel_axis + 1
        kernels, outputs = range(first, first + 2 * axes, 2), range(first + 1, first + 2 * axes, 2)
        return x.permute(*range(first), *kernels, *outputs).reshape(top_shape)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        """A convolution whose kernels are all 0 but for a single 1."""
        kernel, (channels, *size) = self.window.kernel, graph.sizes(bottoms[0], self.channel_axis)
        if not fits(self.window, tuple(size), transposed=False):
            self.fail(f"{self.window} on a bottom of {size} has no ONNX form: {self.no_onnx}")
        one_each = np.tile(np.eye(math.prod(kernel), dtype=np.float32), (channels, 1)).reshape(-1, 1, *kernel)
        flat = graph.reshape(bottoms[0], (-1, channels, *size))
        columns = graph.node("Conv", [flat, graph.constant(one_each, "one_each")], **self.window.onnx(), group=channels)
        graph.reshape(columns, graph.dims(tops[0]), tops)
