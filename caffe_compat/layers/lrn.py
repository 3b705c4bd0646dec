"""LRN: local response normalisation, across channels and within a channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat import kernels
from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register
from caffe_compat.layers.spatial import check_images
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


LARGEST_IN_KERNEL = 15  # local_size; its loops are unrolled


@register
class LRN(Layer):
    """ACROSS_CHANNELS: scale = k + alpha / n * (sum of bottom² over the n channels around), top = bottom * scale^-beta.

    WITHIN_CHANNEL: the sum runs over an n x n square of the same channel, divided as AVE pooling divides (the padding
    counts), and k is always 1: Caffe builds it from its Power and Pooling layers, which get a shift of 1.
    """

    type = "LRN"
    follows_dtype = True

    def setup(self, shapes: list[Shape]) -> None:
        lrn = self.param.lrn_param
        if lrn.local_size % 2 == 0:
            self.fail(f"local_size: {lrn.local_size}, LRN only supports odd values")
        self.within = lrn.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        check_images(self, shapes[0])
        return shapes

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        lrn = self.param.lrn_param
        if self._in_kernel(x):
            from caffe_compat.kernels import lrn as kernel

            self.saved = x
            return kernel.forward(x, lrn.local_size, lrn.alpha, lrn.beta, lrn.k)
        dtype = x.dtype
        x = x.to(torch.promote_types(dtype, torch.float32), memory_format=torch.channels_last)
        if self.within:
            mean = F.avg_pool2d(x * x, lrn.local_size, 1, (lrn.local_size - 1) // 2)
            scale = 1 + lrn.alpha * mean
        else:
            scale = _window_sum(x, x, lrn.local_size).mul(lrn.alpha / lrn.local_size).add_(lrn.k)
        power = _power(scale, -lrn.beta)
        self.saved = (x, scale, power)
        return (x * power).to(dtype)

    def _in_kernel(self, x: Tensor) -> bool:
        """Whether the fused kernel computes it, which knows no negative scales."""
        lrn = self.param.lrn_param
        fits = not self.within and lrn.local_size <= LARGEST_IN_KERNEL and lrn.alpha >= 0 and lrn.k >= 0
        return fits and kernels.usable(x)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        lrn, (x,) = self.param.lrn_param, bottoms
        if not self.within:
            graph.node("LRN", [x], tops, size=lrn.local_size, alpha=lrn.alpha, beta=lrn.beta, bias=lrn.k)
            return
        # The mean over the window as a convolution: runtimes do not agree on what AveragePool does with padding.
        size, channels = lrn.local_size, graph.size(x, 1)
        window = np.full((channels, 1, size, size), lrn.alpha / size**2, np.float32)
        square = graph.node("Mul", [x, x])
        mean = graph.node("Conv", [square, graph.constant(window, "window")], group=channels, pads=[size // 2] * 4)
        scale = graph.node("Add", [mean, graph.constant(np.float32(1), "one")])
        power = graph.node("Pow", [scale, graph.constant(np.float32(-lrn.beta), "exponent")])
        graph.node("Mul", [x, power], tops)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        """Bottom diff = top diff * scale^-beta - 2 alpha beta / n * bottom * (sum of top diff * top / scale)."""
        lrn = self.param.lrn_param
        if isinstance(self.saved, Tensor):
            from caffe_compat.kernels import lrn as kernel

            return [kernel.backward(self.saved, diffs[0], lrn.local_size, lrn.alpha, lrn.beta, lrn.k)], []
        x, scale, power = self.saved
        direct = diffs[0].to(x.dtype, memory_format=torch.channels_last) * power
        if self.within:
            # The window is symmetric and the divisor constant, so the gradient of the mean is a mean again.
            ratio = (direct * x).div_(scale)
            spread, factor = F.avg_pool2d(ratio, lrn.local_size, 1, (lrn.local_size - 1) // 2), 1.0
        else:
            spread, factor = _window_sum(direct / scale, x, lrn.local_size), 1.0 / lrn.local_size
        return [direct.addcmul_(x, spread, value=-2 * lrn.alpha * lrn.beta * factor)], []


def _power(scale: Tensor, exponent: float) -> Tensor:
    """CaffeNet's exponent is taken by roots: several times faster, and off by four units in the last place at most."""
    if exponent != -0.75:
        return scale.pow(exponent)
    root = scale.rsqrt()
    return root.sqrt().mul_(root)


def _window_sum(a: Tensor, b: Tensor, size: int) -> Tensor:
    """Sum of a * b over ``size`` neighbouring channels of (n, c, h, w), zeros beyond the ends.

    The products lie channels last, one pixel after the other, with zeros between that both pixels' windows share. So
    windows are slices of one long vector, and those across two pixels are left out of the view that is returned.
    """
    half = size // 2
    num, channels, height, width = a.shape
    pixel = channels + half
    line = a.new_zeros(half + max(1, num * height * width) * pixel)
    products = line[half : half + num * height * width * pixel].view(num, height, width, pixel)[..., :channels]
    torch.mul(a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1), out=products)
    strides = (height * width * pixel, 1, width * pixel, pixel)
    return line.unfold(0, size, 1).sum(1).as_strided(a.shape, strides)
