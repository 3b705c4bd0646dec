"""BatchNorm: normalisation of channels, without the scale and shift that other libraries put into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat import parallel
from caffe_compat.layers.base import Gradients, Need, NeuronLayer, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class BatchNorm(NeuronLayer):
    """top = (bottom - mean) / sqrt(variance + eps), for each channel over batch and space.

    Three parameters hold statistics: mean (channels,), variance (channels,), and a factor (1,) by which both have to be
    divided, because TRAIN adds to all three, weighing the old by ``moving_average_fraction``. TEST, or
    ``use_global_stats``, uses the stored ones. They are not learned: their lr_mult has to be 0. The
    batch is the whole one, also where several processes split it.
    """

    type = "BatchNorm"

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.batch_norm_param
        self.use_global_stats = (
            param.use_global_stats if param.HasField("use_global_stats") else self.phase == caffe_pb2.TEST
        )
        self.channels = self._channels(shapes[0])
        zero = caffe_pb2.FillerParameter(type="constant")
        for shape in ((self.channels,), (self.channels,), (1,)):
            self.add_param(shape, zero)
        for i in range(3):
            if i < len(self.param.param):
                if self.param.param[i].lr_mult != 0:
                    self.fail(
                        "Cannot configure batch normalization statistics as layer parameters; lr_mult has to be 0"
                    )
            else:
                self.param.param.add(lr_mult=0)

    def _channels(self, shape: Shape) -> int:
        if not shape:
            self.fail("the bottom has no axes; expected at least one")
        return shape[1] if len(shape) > 1 else 1

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if self._channels(shapes[0]) != self.channels:
            self.fail(
                f"bottom of shape {list(shapes[0])}; expected {self.channels} channels, for which there are statistics"
            )
        return shapes

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,), world = bottoms, parallel.world()
        axes = [axis for axis in range(x.dim()) if axis != 1]
        if self.use_global_stats:
            mean, variance = self._stored()
            centred = x - self._spread(mean, x)
        else:
            mean = world.mean(x.mean(axes))
            centred = x - self._spread(mean, x)
            variance = world.mean(centred.square().mean(axes))
            self._remember(mean, variance, world.size * x.numel() // self.channels)
        deviation = self._spread((variance + self.param.batch_norm_param.eps).sqrt(), x)
        top = centred.div_(deviation)
        self.saved = (top, deviation)
        return top

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        """Bottom diff = (top diff - its mean - top * mean of top diff * top) / deviation; stored statistics: no means.

        The means are those of a channel. The parameters get no gradient: nobody learns them.
        """
        (diff,), (top, deviation) = diffs, self.saved
        if self.use_global_stats:
            return [diff / deviation], [None] * 3
        axes = [axis for axis in range(diff.dim()) if axis != 1]
        world = parallel.world()
        grad = torch.addcmul(diff, top, world.mean((diff * top).mean(axes, keepdim=True)), value=-1)
        return [grad.sub_(world.mean(diff.mean(axes, keepdim=True))).div_(deviation)], [None] * 3

    def _spread(self, values: Tensor, x: Tensor) -> Tensor:
        """One value a channel, in a shape that broadcasts over the bottom."""
        return values.view(-1, *[1] * (x.dim() - 2)) if x.dim() > 1 else values

    def _stored(self) -> tuple[Tensor, Tensor]:
        mean, variance, factor = (parameter.detach() for parameter in self.params)
        scale = torch.where(factor == 0, 0.0, 1 / factor)
        return mean * scale, variance * scale

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        (x,) = bottoms
        axes = [axis for axis in range(len(graph.dims(x))) if axis != 1]
        if not self.use_global_stats:
            centred = graph.node("Sub", [x, graph.mean(x, axes)])
            square = graph.mean(graph.node("Mul", [centred, centred]), axes)
            root = graph.node("Sqrt", [graph.plus(square, self.param.batch_norm_param.eps)])
            graph.node("Div", [centred, root], tops)
            return
        # As Add and Mul of constants, which runtimes can work into the convolution before.
        mean, variance = (self._spread(values, torch.empty([1] * len(graph.dims(x)))) for values in self._stored())
        factor = 1 / (variance + self.param.batch_norm_param.eps).sqrt()
        centred = graph.node("Add", [x, graph.constant(-mean.cpu().numpy(), "minus_mean")])
        graph.node("Mul", [centred, graph.constant(factor.cpu().numpy(), "inverse_deviation")], tops)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        fraction = self.param.batch_norm_param.moving_average_fraction
        unbiased = variance * (count / (count - 1)) if count > 1 else variance
        for parameter, value in zip(self.params, (mean, unbiased, torch.ones_like(self.params[2]))):
            parameter.mul_(fraction).add_(value.view_as(parameter))
