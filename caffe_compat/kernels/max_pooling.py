"""MAX pooling, each way in one pass over memory; of a winner one byte is kept, torch keeps eight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 512  # elements for a program
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
    top = torch.empty(*x.shape[:2], *size, dtype=x.dtype, device=x.device).contiguous(memory_format=_format(x))
    winners = torch.empty_like(top, dtype=torch.uint8)
    if top.numel():
        shape = (*x.shape[1:], *size, *kernel, *stride, *pad, not x.is_contiguous(), BLOCK)
        with torch.cuda.device_of(x):
            _forward[(triton.cdiv(top.numel(), BLOCK),)](x, top, winners, top.numel(), *shape)
    return top, winners


def backward(x: Tensor, diff: Tensor, winners: Tensor, kernel: Pair, stride: Pair, pad: Pair) -> Tensor:
    """The bottom's diff from that of the top, whose shape it has, and the winners of ``forward``."""
    diff = diff.contiguous(memory_format=_format(x))
    bottom = torch.empty_like(x)
    if x.numel():
        shape = (*x.shape[1:], *diff.shape[2:], *kernel, *stride, *pad, not x.is_contiguous(), BLOCK)
        with torch.cuda.device_of(x):
            _backward[(triton.cdiv(x.numel(), BLOCK),)](diff, winners, bottom, x.numel(), *shape)
    return bottom


def _format(x: Tensor) -> torch.memory_format:
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


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
    best = tl.full([BLOCK], float("-inf"), tl.float32)
    winner = tl.full([BLOCK], NONE, tl.int32)
    for i in tl.static_range(KERNEL_H):
        for j in tl.static_range(KERNEL_W):
            y, x = top_y + i, top_x + j
            there = (at < count) & (y >= 0) & (y < HEIGHT) & (x >= 0) & (x < WIDTH)
            place = ((plane * HEIGHT + y) * WIDTH + x) * step + at % step
            value = tl.load(x_ptr + place, there, float("-inf")).to(tl.float32)
            wins = there & ((value > best) | (winner == NONE) | (value != value))
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
    total = tl.zeros([BLOCK], tl.float32)
    # The windows that a pixel lies in, in their order.
    HIGH: tl.constexpr = (KERNEL_H - 1) // STRIDE_H
    WIDE: tl.constexpr = (KERNEL_W - 1) // STRIDE_W
    for a in tl.static_range(HIGH + 1):
        for b in tl.static_range(WIDE + 1):
            row, column = y // STRIDE_H - (HIGH - a), x // STRIDE_W - (WIDE - b)
            i, j = y - row * STRIDE_H, x - column * STRIDE_W
            there = (at < count) & (row >= 0) & (row < ROWS) & (column >= 0) & (column < COLUMNS)
            there &= (i < KERNEL_H) & (j < KERNEL_W)
            place = ((plane * ROWS + row) * COLUMNS + column) * step + at % step
            winner = tl.load(winners_ptr + place, there, NONE).to(tl.int32)
            total += tl.load(diff_ptr + place, there & (winner == i * KERNEL_W + j), 0.0).to(tl.float32)
    tl.store(bottom_ptr + at, total.to(bottom_ptr.dtype.element_ty), at < count)
