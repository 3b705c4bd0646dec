"""MAX pooling, each way in one pass over memory; of a winner one byte is kept, torch keeps eight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from caffe_compat.kernels import memory_format

BLOCK = 1024  # elements for a program
NONE: tl.constexpr = tl.constexpr(255)  # the winner of a window that lies wholly outside
LOWEST: tl.constexpr = tl.constexpr(-3.4028234663852886e38)  # -FLT_MAX, which such a window gives
Pair = tuple[int, int]


def forward(x: Tensor, size: Sequence[int], kernel: Pair, stride: Pair, pad: Pair) -> tuple[Tensor, Tensor]:
    """The largest value of each window, and which of the window's it is, uint8, counted row by row.

    Of equal ones the first wins, padding never does, and nan is the largest.

    Args:
        x: (n, c, h, w), float32 or bfloat16, dense, with the channels first or last in memory; so are the results.
        size: height and width of the top; windows may hang over the bottom's ends.
        kernel: of less than 255 pixels.
    """
    top = torch.empty(*x.shape[:2], *size, dtype=x.dtype, device=x.device).contiguous(memory_format=memory_format(x))
    winners = torch.empty_like(top, dtype=torch.uint8)
    if top.numel():
        shape = (*x.shape[1:], *size, *kernel, *stride, *pad, not x.is_contiguous(), BLOCK)
        with torch.cuda.device_of(x):
            _forward[(triton.cdiv(top.numel(), BLOCK),)](x, top, winners, top.numel(), *shape)
    return top, winners


def backward(x: Tensor, diff: Tensor, winners: Tensor, kernel: Pair, stride: Pair, pad: Pair) -> Tensor:
    """The bottom's diff from that of the top, whose shape it has, and the winners of ``forward``."""
    diff = diff.contiguous(memory_format=memory_format(x))
    bottom = torch.empty_like(x)
    if x.numel():
        shape = (*x.shape[1:], *diff.shape[2:], *kernel, *stride, *pad, not x.is_contiguous(), BLOCK)
        with torch.cuda.device_of(x):
            _backward[(triton.cdiv(x.numel(), BLOCK),)](diff, winners, bottom, x.numel(), *shape)
    return bottom


@triton.jit
def _forward(
    x_ptr: tl.tensor,
    top_ptr: tl.tensor,
    winners_ptr: tl.tensor,
    count: tl.tensor,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    KERNEL_H: tl.constexpr,
    KERNEL_W: tl.constexpr,
    STRIDE_H: tl.constexpr,
    STRIDE_W: tl.constexpr,
    PAD_H: tl.constexpr,
    PAD_W: tl.constexpr,
    LAST: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    step: tl.constexpr = CHANNELS if LAST else 1  # elements from a pixel to the next
    pixel = at // step
    plane = pixel // (ROWS * COLUMNS)  # with the channels last: the image
    top_y, top_x = pixel // COLUMNS % ROWS * STRIDE_H - PAD_H, pixel % COLUMNS * STRIDE_W - PAD_W
    corner = ((plane * HEIGHT + top_y) * WIDTH + top_x) * step + at % step
    best = tl.full([BLOCK], float("-inf"), tl.float32)
    winner = tl.full([BLOCK], NONE, tl.int32)
    for i in tl.static_range(KERNEL_H):
        for j in tl.static_range(KERNEL_W):
            there = (at < count) & (top_y + i < HEIGHT) & (top_x + j < WIDTH)
            if PAD_H or PAD_W:
                there &= (top_y + i >= 0) & (top_x + j >= 0)
            value = tl.load(x_ptr + corner + (i * WIDTH + j) * step, there, float("-inf")).to(tl.float32)
            wins = (value > best) | (value != value) | (there & (winner == NONE))
            best = tl.where(wins, value, best)
            winner = tl.where(wins, i * KERNEL_W + j, winner)
    best = tl.where(winner == NONE, LOWEST, best)
    tl.store(top_ptr + at, best.to(top_ptr.dtype.element_ty), at < count)
    tl.store(winners_ptr + at, winner.to(tl.uint8), at < count)


@triton.jit
def _backward(
    diff_ptr: tl.tensor,
    winners_ptr: tl.tensor,
    bottom_ptr: tl.tensor,
    count: tl.tensor,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    KERNEL_H: tl.constexpr,
    KERNEL_W: tl.constexpr,
    STRIDE_H: tl.constexpr,
    STRIDE_W: tl.constexpr,
    PAD_H: tl.constexpr,
    PAD_W: tl.constexpr,
    LAST: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    step: tl.constexpr = CHANNELS if LAST else 1
    pixel = at // step
    plane = pixel // (HEIGHT * WIDTH)
    y, x = pixel // WIDTH % HEIGHT + PAD_H, pixel % WIDTH + PAD_W
    # The last window that a pixel may lie in, and where there; those before it begin a stride earlier each.
    row, column, i, j = y // STRIDE_H, x // STRIDE_W, y % STRIDE_H, x % STRIDE_W
    last = ((plane * ROWS + row) * COLUMNS + column) * step + at % step
    total = tl.zeros([BLOCK], tl.float32)
    HIGH: tl.constexpr = (KERNEL_H - 1) // STRIDE_H
    WIDE: tl.constexpr = (KERNEL_W - 1) // STRIDE_W
    for a in tl.static_range(HIGH, -1, -1):
        for b in tl.static_range(WIDE, -1, -1):
            there = (at < count) & (row >= a) & (row < ROWS + a) & (column >= b) & (column < COLUMNS + b)
            there &= (i < KERNEL_H - a * STRIDE_H) & (j < KERNEL_W - b * STRIDE_W)
            place = last - (a * COLUMNS + b) * step
            winner = tl.load(winners_ptr + place, there, NONE).to(tl.int32)
            own = (i + a * STRIDE_H) * KERNEL_W + j + b * STRIDE_W
            total += tl.load(diff_ptr + place, there & (winner == own), 0.0).to(tl.float32)
    tl.store(bottom_ptr + at, total.to(bottom_ptr.dtype.element_ty), at < count)
