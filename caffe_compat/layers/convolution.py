"""Convolution and its transpose, with groups, padding, stride and dilation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from caffe_compat.layers import convolution_nd
from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register
from caffe_compat.layers.spatial import Window, read_window

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Convolution(Layer):
    """top[n, o, y] = bias[o] + sum over c, k of weight[o, c, k] * bottom[n, c, stride * y - pad + dilation * k].

    With ``group: g`` output block j sees only input block j. Axes before ``axis`` (default 1, the channels) count as
    batch, those behind it are spatial. Several bottoms share the parameters and give a top each.
    Weight: (num_output, channels / group, kernel...), bias: (num_output,).
    """

    type = "Convolution"
    num_bottoms = (1, None)
    num_tops = (1, None)
    keeps_top = False
    multiplies = True
    no_onnx = "ONNX's Conv is for 1 to 3 spatial axes, no dilation of 0, and kernels no larger than the padded bottom"

    transposed: ClassVar[bool] = False
    window: Window

    def setup(self, shapes: list[Shape]) -> None:
        conv = self.param.convolution_param
        shape = shapes[0]
        self.channel_axis = self.axis(conv.axis, shape)
        axes = len(shape) - self.channel_axis - 1
        self.window = read_window(self, conv, axes)
        channels, outputs, self.group = shape[self.channel_axis], conv.num_output, conv.group
        for field in ("num_output", "group"):
            if getattr(conv, field) < 1:
                self.fail(f"{field}: {getattr(conv, field)}, expected at least 1")
        if channels % self.group or outputs % self.group:
            self.fail(f"group: {self.group} does not divide the {channels} channels and num_output {outputs}")
        ends = (channels, outputs) if self.transposed else (outputs, channels)
        self.outputs, self.channels = outputs, channels
        self.add_param((ends[0], ends[1] // self.group, *self.window.kernel), conv.weight_filler)
        if conv.bias_term:
            self.add_param((outputs,), conv.bias_filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if len(shapes) != max(1, len(self.param.top)):
            self.fail(f"{len(shapes)} bottoms and {len(self.param.top)} tops; expected as many of one as of the other")
        axes = self.channel_axis + 1 + len(self.window.kernel)
        for shape in shapes:
            if shape != shapes[0]:
                self.fail(f"all bottoms must have the same shape; got {list(shapes[0])} and {list(shape)}")
            if len(shape) != axes:
                self.fail(f"bottom of shape {list(shape)}; expected {axes} axes, as when the layer was made")
            if shape[self.channel_axis] != self.channels:
                self.fail(f"bottom has {shape[self.channel_axis]} channels; expected {self.channels}")
        size = self._size(shapes[0][self.channel_axis + 1 :])
        if min(size, default=1) < 1:
            self.fail(f"kernel {list(self.window.extent)} is larger than the padded bottom {list(shapes[0])}")
        return [(*shapes[0][: self.channel_axis], self.outputs, *size) for _ in shapes]

    def _size(self, size: Shape) -> Shape:
        return self.window.convolved(size)

    def _flat(self, x: Tensor, last: bool) -> Tensor:
        """All axes before the channels as one batch axis, as torch wants them; ``last``: the channels last in memory.

        oneDNN then reorders nothing, and the tops are laid out alike, so that the pooling and the LRN that follow work
        on vectors of channels.
        """
        x = x.reshape(math.prod(x.shape[: self.channel_axis]), *x.shape[self.channel_axis :])
        if not last:
            return x if x.is_cuda else x.reshape(-1).view(x.shape)  # whose strides leave no doubt
        x = x.contiguous(memory_format=torch.channels_last)
        _, channels, height, width = x.shape
        # Strides of a single channel say either layout; torch takes the other one unless they are these.
        return x if channels > 1 else x.as_strided(x.shape, (height * width, 1, width, 1))

    def _channels_last(self, x: Tensor) -> bool:
        """Only on a CPU, and where all sides are more than 1: others make torch read and write outside of its memory.

        Which layout the strides of such a side mean is ambiguous, and torch 2.13 and oneDNN do not always agree.
        """
        sides = tuple(x.shape[self.channel_axis + 1 :])
        return len(sides) == 2 and x.device.type == "cpu" and min(*sides, *self._size(sides)) > 1

    def _unflat(self, y: Tensor, like: Tensor) -> Tensor:
        """With the batch axes of ``like`` again."""
        return y.view(*like.shape[: self.channel_axis], *y.shape[1:])

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        w, weight = self.window, self.precision.kernel(self.params[0])
        bias = self.precision.factor(self.params[1]) if len(self.params) > 1 else None
        if not self._fits(bottoms[0]):
            self.saved = (bottoms, None, False)
            return tuple(self._convolve_nd(x, *self.params) for x in bottoms)
        last = self._channels_last(bottoms[0])
        factors = [self._flat(self.precision.factor(x), last) for x in bottoms]
        self.saved = (factors, weight.detach(), last)
        tops = []
        for x, factor in zip(bottoms, factors):
            y = torch.convolution(
                factor, weight, bias, w.stride, w.pad, w.dilation, self.transposed, [0] * len(w.pad), self.group
            )
            tops.append(self._unflat(y, x))
        return tuple(tops)

    def _fits(self, x: Tensor) -> bool:
        return convolution_nd.fits(self.window, tuple(x.shape[self.channel_axis + 1 :]), self.transposed)

    def _convolve_nd(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        flat, size = x.flatten(0, self.channel_axis - 1) if self.channel_axis else x[None], x.shape
        window = (self.window, self.transposed, self.group, self._size(tuple(size[self.channel_axis + 1 :])))
        return self._unflat(convolution_nd.convolve(flat.to(weight.dtype), weight, bias, *window), x)

    def _backward_nd(self, bottoms: Sequence[Tensor], diffs: Sequence[Tensor], need: Need) -> Gradients:
        grads: list[Tensor | None] = []
        params: list[Tensor | None] = [None] * len(need.params)
        for x, diff in zip(bottoms, diffs):
            of_x, *of_params = torch.func.vjp(self._convolve_nd, x, *(p.detach() for p in self.params))[1](
                diff.to(self.params[0].dtype)
            )
            grads.append(of_x)
            for i, grad in enumerate(of_params):
                grad = grad.contiguous()  # that of weights which were summed up is a single value in memory
                params[i] = grad if params[i] is None else params[i] + grad
        return grads, params

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        sides = tuple(graph.sizes(bottoms[0], self.channel_axis + 1))
        if not convolution_nd.fits(self.window, sides, self.transposed):
            self.fail(f"{self.window} on a bottom of {list(sides)} has no ONNX form: {self.no_onnx}")
        op = "ConvTranspose" if self.transposed else "Conv"
        window: dict[str, Any] = {**self.window.onnx(), "group": self.group}
        params = graph.params(self, "weight", "bias")
        for bottom, top in zip(bottoms, tops):
            if self.channel_axis == 1:
                graph.node(op, [bottom, *params], [top], **window)
            else:
                flat = graph.reshape(bottom, (-1, *graph.sizes(bottom, self.channel_axis)))
                graph.reshape(graph.node(op, [flat, *params], **window), graph.dims(top), [top])

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        w, (factors, weight, last) = self.window, self.saved
        if weight is None:
            return self._backward_nd(factors, diffs, need)
        bottoms: list[Tensor | None] = []
        params: list[Tensor | None] = [None] * len(need.params)
        for factor, diff, wanted in zip(factors, diffs, need.bottoms):
            grads = torch.ops.aten.convolution_backward(
                self._flat(self.precision.factor(diff), last),
                factor,
                weight,
                [self.outputs],
                w.stride,
                w.pad,
                w.dilation,
                self.transposed,
                [0] * len(w.pad),
                self.group,
                [wanted, need.params[0], len(need.params) > 1 and need.params[1]],
            )
            bottoms.append(self._unflat(grads[0], diff) if wanted else None)
            for i, grad in enumerate(grads[1 : 1 + len(params)]):
                if grad is not None:
                    grad = grad.to(self.params[i]).contiguous()
                    params[i] = grad if params[i] is None else params[i] + grad
        return bottoms, params


@register
class Deconvolution(Convolution):
    """The transpose of a convolution: its forward is Convolution's gradient, and the other way round.

    Output size: stride * (size - 1) + kernel extent - 2 pad. Weight: (channels, num_output / group, kernel...).
    """

    type = "Deconvolution"
    transposed = True

    def _size(self, size: Shape) -> Shape:
        return self.window.transposed(size)
