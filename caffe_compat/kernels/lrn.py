"""LRN across channels, each way in one pass over memory; backward computes the scale anew instead of reading it."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from caffe_compat.kernels import memory_format

BLOCK = 512  # elements for a program
ROOTS_OF = 0.75  # CaffeNet's exponent, whose power is taken by roots: a third of the instructions


def forward(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """Top = x * (k + alpha / size * (sum of x² over ``size`` channels around))^-beta.

    Args:
        x: (n, c, h, w), float32 or bfloat16, dense, with the channels first or last in memory. The arithmetic is
            float32, the top like x.
        size: odd.
        alpha, k: such that the sum that is raised to -beta is nowhere negative.
    """
    top = torch.empty_like(x)
    if x.numel():
        grid, shape = (triton.cdiv(x.numel(), BLOCK),), (x.shape[1], _step(x), size // 2)
        with torch.cuda.device_of(x):
            _forward[grid](x, top, x.numel(), alpha / size, k, -beta, *shape, beta == ROOTS_OF, BLOCK)
    return top


def backward(x: Tensor, diff: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """The diff of ``x`` from that of the top: diff s^-beta - 2 alpha beta / size x (sum of diff x s^(-beta - 1)).

    Shapes and dtypes as in ``forward``, s being what is raised to -beta there.
    """
    diff = diff.contiguous(memory_format=memory_format(x))
    bottom = torch.empty_like(x)
    if x.numel():
        grid, shape = (triton.cdiv(x.numel(), BLOCK),), (x.shape[1], _step(x), size // 2)
        numbers = (x.numel(), alpha / size, k, -beta, -2 * alpha * beta / size)
        with torch.cuda.device_of(x):
            _backward[grid](x, diff, bottom, *numbers, *shape, beta == ROOTS_OF, BLOCK)
    return bottom


def _step(x: Tensor) -> int:
    """Elements from a value to that of the next channel."""
    return x.shape[2] * x.shape[3] if x.is_contiguous() else 1


@triton.jit
def _forward(
    x_ptr: tl.tensor,
    top_ptr: tl.tensor,
    count: tl.tensor,
    share: tl.tensor,
    k: tl.tensor,
    power: tl.tensor,
    CHANNELS: tl.constexpr,
    STEP: tl.constexpr,
    HALF: tl.constexpr,
    ROOTS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = at // STEP % CHANNELS
    x = tl.load(x_ptr + at, at < count, 0.0).to(tl.float32)
    total = x * x
    for d in tl.static_range(1, HALF + 1):
        below = tl.load(x_ptr + at - d * STEP, (at < count) & (channel >= d), 0.0).to(tl.float32)
        above = tl.load(x_ptr + at + d * STEP, (at < count) & (channel < CHANNELS - d), 0.0).to(tl.float32)
        total += below * below + above * above
    raised, _ = _powers(k + share * total, power, ROOTS)
    top = x * raised
    tl.store(top_ptr + at, top.to(top_ptr.dtype.element_ty), at < count)


@triton.jit
def _backward(
    x_ptr: tl.tensor,
    diff_ptr: tl.tensor,
    bottom_ptr: tl.tensor,
    count: tl.tensor,
    share: tl.tensor,
    k: tl.tensor,
    power: tl.tensor,
    factor: tl.tensor,
    CHANNELS: tl.constexpr,
    STEP: tl.constexpr,
    HALF: tl.constexpr,
    ROOTS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = at // STEP % CHANNELS
    xs = ()  # of all channels that the scales around need
    squares = ()
    for d in tl.static_range(-2 * HALF, 2 * HALF + 1):
        there = (at < count) & (channel >= -d) & (channel < CHANNELS - d)
        x = tl.load(x_ptr + at + d * STEP, there, 0.0).to(tl.float32)
        xs += (x,)  # type: ignore[assignment]
        squares += (x * x,)  # type: ignore[assignment]
    spread = tl.zeros([BLOCK], tl.float32)
    own = tl.zeros([BLOCK], tl.float32)
    for d in tl.static_range(-HALF, HALF + 1):
        there = (at < count) & (channel >= -d) & (channel < CHANNELS - d)
        diff = tl.load(diff_ptr + at + d * STEP, there, 0.0).to(tl.float32)
        total = tl.zeros([BLOCK], tl.float32)
        for e in tl.static_range(-HALF, HALF + 1):
            total += squares[2 * HALF + d + e]
        raised, inverse = _powers(k + share * total, power, ROOTS)
        scaled = diff * raised
        if d == 0:
            own = scaled
        # Beyond the ends the diff is 0, but with k = 0 the scale may be, too.
        spread += tl.where(there, scaled * xs[2 * HALF + d] * inverse, 0.0)
    bottom = own + factor * xs[2 * HALF] * spread
    tl.store(bottom_ptr + at, bottom.to(bottom_ptr.dtype.element_ty), at < count)


@triton.jit
def _powers(scale: tl.tensor, power: tl.tensor, ROOTS: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """scale^power and 1 / scale."""
    if ROOTS:
        root = tl.rsqrt(scale)
        return root * tl.sqrt(root), root * root
    return tl.exp2(tl.log2(scale) * power), 1 / scale
