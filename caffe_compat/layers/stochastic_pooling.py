"""STOCHASTIC pooling: of each window one pixel, drawn by its share of the sum; in use, what that gives on average.

Zeiler and Fergus, "Stochastic pooling for regularization of deep convolutional neural networks", 2013. Caffe has it for
GPUs only, and this is what the kernels in pooling_layer.cu compute. Where they leave a top as it was, because no pixel
of a window with negative values reaches what was drawn, the top is 0 here and has no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat import parallel, rng
from caffe_compat.layers.spatial import taps

LEAST = 2.0**-33  # of cuRAND's uniform numbers, which are never 0: a pixel that is 0 is never drawn
Pair = tuple[int, int]


def uniform(shape: Sequence[int], like: Tensor) -> Tensor:
    """A random number above 0 for each value of a top of that shape.

    On the CPU from the main random stream, on a GPU from torch's generator of that device (Caffe took cuRAND's); for
    the whole batch, where this is only one of several processes' part.
    """
    world = parallel.world()
    if like.device.type == "cpu":
        whole = torch.from_numpy(rng.main().uniform(world.size * math.prod(shape), 0, 1))
    else:
        whole = torch.rand(world.size * math.prod(shape), dtype=torch.float32, device=like.device)
    return whole.add_(LEAST).view(world.size, *shape)[world.rank].to(like)


def sample(x: Tensor, random: Tensor, kernel: Pair, stride: Pair) -> tuple[Tensor, Tensor]:
    """The pixel of each window at which the sum so far reaches ``random`` times the whole sum, and which one it is.

    Args:
        x: (n, c, h, w), with zeros where windows hang over the edge.
        random: (n, c, top's h, top's w), from 0 to 1.

    Returns:
        The pixels, and their places in the windows, int32, counted row by row; -1: none.
    """
    size = tuple(random.shape[2:])
    total = torch.zeros_like(random)
    for pixel in taps(x, size, kernel, stride):
        total += pixel  # one after the other, so that both sums are rounded alike
    enough = total.mul_(random)
    so_far, top = torch.zeros_like(random), torch.zeros_like(random)
    drawn = torch.full_like(random, -1, dtype=torch.int32)
    for i, pixel in enumerate(taps(x, size, kernel, stride)):
        so_far += pixel
        here = (so_far >= enough) & (drawn < 0)
        drawn.masked_fill_(here, i)
        top = torch.where(here, pixel, top)
    return top, drawn


def sample_backward(diff: Tensor, x: Tensor, kernel: Pair, stride: Pair, drawn: Tensor) -> Tensor:
    """Each pixel gets the diffs of the windows for which it was drawn."""
    grad = torch.zeros_like(x)
    for i, pixel in enumerate(taps(grad, tuple(diff.shape[2:]), kernel, stride)):
        pixel += diff * (drawn == i)
    return grad


def mean(x: Tensor, kernel: Pair, stride: Pair) -> tuple[Tensor, Tensor]:
    """The sum of squares over the sum, 0 where that is not positive; and the sums."""
    total = _sums(x, kernel, stride)
    return torch.where(total > 0, _sums(x * x, kernel, stride) / total, 0), total


def mean_backward(diff: Tensor, x: Tensor, kernel: Pair, stride: Pair, top: Tensor, total: Tensor) -> Tensor:
    """The derivative of ``mean``: (2 x - top) / sum. (Caffe's kernel has places drawn in TRAIN, or none.)"""

    def spread(values: Tensor) -> Tensor:
        return torch.ops.aten.avg_pool2d_backward(values, x, kernel, stride, (0, 0), False, True, 1)

    share = torch.where(total > 0, diff / total, 0)
    return 2 * x * spread(share) - spread(share * top)


def _sums(x: Tensor, kernel: Pair, stride: Pair) -> Tensor:
    return F.avg_pool2d(x, kernel, stride, divisor_override=1)
