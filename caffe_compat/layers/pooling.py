"""Pooling, with Caffe's output sizes and its treatment of windows that hang over the edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat import kernels
from caffe_compat.layers import stochastic_pooling
from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register
from caffe_compat.layers.spatial import check_images, taps
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph

FLT_MAX = float(np.finfo(np.float32).max)
LARGEST_IN_KERNEL = 100  # pixels of a window; its loops are unrolled
Pair = tuple[int, int]


@register
class Pooling(Layer):
    """MAX: the largest value of each window, the first of them where there are several; padding never wins.

    AVE: the sum of the window over its area, which counts padding but ends at height + pad. Output size:
    ceil((size + 2 pad - kernel) / stride) + 1 (``round_mode: FLOOR`` takes the floor instead), less one if there is
    padding, on whichever axis, and the last window would begin beyond the bottom. A second top of MAX gets the index of
    the winner, as a float.

    A MAX window that lies wholly outside the bottom gives -FLT_MAX, an AVE window nan (pooling_layer.cpp).

    STOCHASTIC: in phase TRAIN one pixel of the window, drawn with a probability in proportion to its value, in phase
    TEST their mean, so weighted.
    """

    type = "Pooling"
    num_tops = (1, 2)
    no_onnx = "in phase TRAIN pool: STOCHASTIC draws new pixels at every forward"

    def setup(self, shapes: list[Shape]) -> None:
        pool = self.param.pooling_param
        self.stochastic = pool.pool == caffe_pb2.PoolingParameter.STOCHASTIC
        self.max = self.follows_dtype = pool.pool == caffe_pb2.PoolingParameter.MAX
        if not self.max and len(self.param.top) > 1:
            self.fail("only MAX pooling has a second top")
        self.stride = self._pair("stride", pool)
        if min(self.stride) < 1:
            self.fail(f"stride: {min(self.stride)}, expected at least 1")
        self.pad = self._pair("pad", pool)
        if self.stochastic and any(self.pad):
            self.fail(f"pad {self.pad}: padding is for MAX and AVE pooling only; expected 0 with pool: STOCHASTIC")
        self._floor = pool.round_mode == caffe_pb2.PoolingParameter.FLOOR
        if pool.global_pooling:
            if pool.HasField("kernel_size") or pool.HasField("kernel_h") or pool.HasField("kernel_w"):
                self.fail("with global_pooling: true the kernel is the bottom's size, so kernel_size cannot be given")
            if self.pad != (0, 0) or self.stride != (1, 1):
                self.fail("with global_pooling: true only pad 0 and stride 1 are possible")
        else:
            kernel = self._pair("kernel", pool)
            if min(kernel) < 1:
                self.fail("kernel_size: missing or 0, expected at least 1")
            if any(p >= k for p, k in zip(self.pad, kernel)):
                self.fail(f"pad {self.pad} must be smaller than the kernel {kernel}")

    def _pair(self, name: str, pool: caffe_pb2.PoolingParameter) -> Pair:
        """Height and width from NAME (kernel_size for the kernel) or from NAME_h and NAME_w."""
        both = "kernel_size" if name == "kernel" else name
        if pool.HasField(f"{name}_h") or pool.HasField(f"{name}_w"):
            if pool.HasField(both):
                self.fail(f"give either {both} or {name}_h and {name}_w, not both")
            if not (pool.HasField(f"{name}_h") and pool.HasField(f"{name}_w")):
                self.fail(f"{name}_h and {name}_w have to be given together")
            return getattr(pool, f"{name}_h"), getattr(pool, f"{name}_w")
        value = getattr(pool, both)
        return value, value

    def _kernel(self, shape: Shape) -> Pair:
        pool = self.param.pooling_param
        return (shape[2], shape[3]) if pool.global_pooling else self._pair("kernel", pool)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        shape = shapes[0]
        check_images(self, shape)
        size = self._pooled(shape[2:], self._kernel(shape))
        if min(size) < 1:
            self.fail(f"kernel {self._kernel(shape)} does not fit into the padded bottom {list(shape)}")
        return [(*shape[:2], *size)] * max(1, len(self.param.top))

    def _pooled(self, size: Shape, kernel: Pair) -> Shape:
        """Output's height and width."""
        pooled = []
        for n, k, s, p in zip(size, kernel, self.stride, self.pad):
            room = n + 2 * p - k
            count = (room // s if self._floor else -(-room // s)) + 1
            # Padding of one axis has both looked at.
            pooled.append(count - (any(self.pad) and (count - 1) * s >= n + p))
        return tuple(pooled)

    def _excess(self, shape: Shape) -> tuple[int, int, int, int]:
        """Padding (left, right, top, bottom) that makes a plain pooling visit exactly Caffe's windows.

        Negative at the far ends where the last stride leaves something over.
        """
        kernel, pooled = self._kernel(shape), self.reshape([shape])[0][2:]
        far = [(o - 1) * s + k - p - n for o, s, k, p, n in zip(pooled, self.stride, kernel, self.pad, shape[2:])]
        return self.pad[1], far[1], self.pad[0], far[0]

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        (x,) = bottoms
        return self._max(x) if self.max else self._stochastic(x) if self.stochastic else self._average(x)

    def _padded(self, x: Tensor, value: float) -> Tensor:
        """The bottom with all that its windows reach."""
        pads = [max(pad, 0) for pad in self._excess(x.shape)]
        return F.pad(x, pads, value=value) if any(pads) else x

    def _in_kernel(self, x: Tensor) -> bool:
        """Whether the fused kernel computes the largest values."""
        alone = len(self.param.top) < 2 and not self.compat.pool_gradient_to_ties
        return alone and math.prod(self._kernel(x.shape)) <= LARGEST_IN_KERNEL and kernels.usable(x)

    def _max(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        if self._in_kernel(x):
            from caffe_compat.kernels import max_pooling

            in_kernel = (self._kernel(x.shape), self.stride, self.pad)
            pooled, winners = max_pooling.forward(x, self.reshape([tuple(x.shape)])[0][2:], *in_kernel)
            self.saved = (x.shape, x, in_kernel, winners)
            return pooled
        fits = self._fits(x.shape) and not self.compat.pool_gradient_to_ties
        padded, pad = (x, self.pad) if fits else (self._padded(x, -FLT_MAX), (0, 0))
        window = (self._kernel(x.shape), self.stride, pad, (1, 1), fits and not self._floor)
        pooled, index = torch.ops.aten.max_pool2d_with_indices(padded, *window)
        self.saved = (x.shape, padded, window, pooled if self.compat.pool_gradient_to_ties else index)
        if len(self.param.top) < 2:
            return pooled
        top, left = (0, 0) if fits else self.pad
        row, column = index // padded.shape[3] - top, index % padded.shape[3] - left
        mask = torch.where(pooled > -FLT_MAX, row * x.shape[3] + column, -1)
        return pooled, mask.to(x.dtype)

    def _fits(self, shape: Shape) -> bool:
        """Whether torch's own padding gives Caffe's windows: it may be half a kernel, and all windows begin inside."""
        rows = zip(shape[2:], self._kernel(shape), self.stride, self.pad, self.reshape([shape])[0][2:])
        return all(2 * p <= k and (o - 1) * s - p < n for n, k, s, p, o in rows)

    def _stochastic(self, x: Tensor) -> Tensor:
        padded, kernel = self._padded(x, 0), self._kernel(x.shape)
        extra: tuple[Tensor, ...]  # what backward needs to know
        if self.phase == caffe_pb2.TEST:
            top, total = stochastic_pooling.mean(padded, kernel, self.stride)
            extra = (top, total)
        else:
            random = stochastic_pooling.uniform(self.reshape([tuple(x.shape)])[0], x)
            top, drawn = stochastic_pooling.sample(padded, random, kernel, self.stride)
            extra = (drawn,)
        self.saved = (x.shape, padded, (kernel, self.stride, (0, 0)), extra)
        return top

    def _average(self, x: Tensor) -> Tensor:
        padded = self._padded(x, 0)
        window = (self._kernel(x.shape), self.stride, (0, 0))
        areas = self._areas(x)
        self.saved = (x.shape, padded, window, areas)
        return F.avg_pool2d(padded, *window, divisor_override=1) / areas

    def _areas(self, x: Tensor) -> Tensor:
        """Area of each window, as Caffe counts it; 0 where a window begins beyond the padding."""
        sides = []
        kernel, pooled = self._kernel(x.shape), self.reshape([tuple(x.shape)])[0][2:]
        for n, k, s, p, o in zip(x.shape[2:], kernel, self.stride, self.pad, pooled):
            begin = torch.arange(o, device=x.device) * s - p
            sides.append((begin + k).clamp_max(n + p) - begin)
        return (sides[0][:, None] * sides[1]).to(x)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        for value, top in zip(self.pooled(graph, bottoms[0], mask=len(tops) > 1), tops):
            graph.give(value, top)

    def pooled(self, graph: Graph, x: str, mask: bool = False) -> list[str]:
        """Append the nodes of the top, and of the second one with ``mask``; also SPP's rule.

        Windows that hang over the edge become padding at the far ends, so that no runtime's ceil_mode has a say.
        """
        shape = (1, *graph.sizes(x, 1))
        kernel, (left, right, top, bottom) = self._kernel(shape), self._excess(shape)
        pads = [top, left, max(bottom, 0), max(right, 0)]
        window: dict[str, Any] = {"kernel_shape": kernel, "strides": self.stride}
        if self.max:
            if bottom >= kernel[0] or right >= kernel[1] or mask:  # an empty window: MaxPool cannot pad that much
                x = _pad(graph, x, pads, graph.constant(np.float32(-FLT_MAX), "lowest"))
                height, width = shape[2] + pads[0] + pads[2], shape[3] + pads[1] + pads[3]
                pads = [0] * 4
            if not mask:
                return [graph.node("MaxPool", [x], pads=pads, **window)]
            best, index = graph.nodes("MaxPool", [x], 2, pads=pads, **window)
            return [best, self._mask(graph, best, index, shape, (height, width))]
        if self.stochastic:
            if self.phase != caffe_pb2.TEST:
                self.fail(f"phase TRAIN has no ONNX form: {self.no_onnx}")
            zero = graph.constant(np.float32(0), "zero")
            if any(pads):
                x = _pad(graph, x, pads, zero)
            squares, total = (graph.node("AveragePool", [y], **window) for y in (graph.node("Mul", [x, x]), x))
            mean = graph.node("Div", [squares, total])
            return [graph.node("Where", [graph.node("Greater", [total, zero]), mean, zero])]
        if not any(pads):
            return [graph.node("AveragePool", [x], **window)]
        # Runtimes do not agree on what AveragePool divides by where there is padding, but all can add and divide.
        ones = graph.constant(np.ones((shape[1], 1, *kernel), np.float32), "ones")
        total = graph.node("Conv", [x, ones], group=shape[1], pads=pads, **window)
        areas = self._areas(torch.empty(()).expand(shape)).numpy()
        return [graph.node("Div", [total, graph.constant(areas[None, None], "areas")])]

    def _mask(self, graph: Graph, best: str, index: str, shape: Shape, padded: Pair) -> str:
        """The winners' indices in their channels from those in the padded bottom as a whole; -1 in empty windows."""
        height, width = (graph.constant(np.int64(size), "padded") for size in padded)
        place = graph.node("Mod", [index, graph.node("Mul", [height, width])])
        row = graph.node("Sub", [graph.node("Div", [place, width]), graph.constant(np.int64(self.pad[0]), "pad_h")])
        column = graph.node("Sub", [graph.node("Mod", [place, width]), graph.constant(np.int64(self.pad[1]), "pad_w")])
        found = graph.node("Add", [graph.node("Mul", [row, graph.constant(np.int64(shape[3]), "width")]), column])
        some = graph.node("Greater", [best, graph.constant(np.float32(-FLT_MAX), "lowest")])
        nothing = graph.constant(np.float32(-1), "nothing")
        return graph.node("Where", [some, graph.cast(found, np.float32), nothing])

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        shape, padded, window, extra = self.saved
        kernel, stride, pad = window[:3]
        if self.stochastic:
            testing = self.phase == caffe_pb2.TEST
            derive = stochastic_pooling.mean_backward if testing else stochastic_pooling.sample_backward
            grad = derive(diffs[0], padded, kernel, stride, *extra)
        elif self.max and self.compat.pool_gradient_to_ties:
            grad = _to_all_maxima(diffs[0], padded, extra, kernel, stride)
        elif extra.dtype == torch.uint8:
            from caffe_compat.kernels import max_pooling

            grad = max_pooling.backward(padded, diffs[0], extra, kernel, stride, pad)
        elif self.max:
            # Where the indices lie channels last, the kernel crawls if the diffs do not.
            last = extra.is_contiguous(memory_format=torch.channels_last)
            diff = diffs[0].contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
            grad = torch.ops.aten.max_pool2d_with_indices_backward(diff, padded, *window, extra)
        else:
            grad = torch.ops.aten.avg_pool2d_backward(diffs[0] / extra, padded, kernel, stride, pad, False, True, 1)
        if padded.shape != shape:
            left, _, top, _ = self._excess(shape)
            grad = grad[:, :, top : top + shape[2], left : left + shape[3]].contiguous()
        return [grad], []


def _pad(graph: Graph, x: str, pads: Sequence[int], value: str) -> str:
    """Append the padding of images: top, left, bottom and right, with a constant."""
    ends = graph.integers([0, 0, *pads[:2], 0, 0, *pads[2:]], "pads")
    return graph.node("Pad", [x, ends, value])


def _to_all_maxima(diff: Tensor, padded: Tensor, pooled: Tensor, kernel: Pair, stride: Pair) -> Tensor:
    """The gradient of 2014: each input gets that of every window whose maximum it equals, ties included."""
    grad = torch.zeros_like(padded)
    window = (pooled.shape[2:], kernel, stride)
    for pixel, its_grad in zip(taps(padded, *window), taps(grad, *window)):
        its_grad += diff * (pixel == pooled)
    return grad
