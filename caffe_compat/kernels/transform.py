"""The end of a batch's transformation, (pixel - mean) * scale, from cut images to the blob in one pass over memory."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # elements for a program


def finish(cuts: Tensor, places: Tensor, mean: Tensor | None, scale: float, out: Tensor) -> None:
    """Fill ``out`` with what ``Transformer.finish`` gives: in float32 to the bit, in bfloat16 the same, rounded.

    Args:
        cuts: (n, c, h, w), uint8 or float32, contiguous, mirrored already.
        places: (n, 3), int32: whether mirrored, and first row and column of the cut in the source image.
        mean: float32, of the source images' shape, or (c,), or None; contiguous.
        out: as cuts, float32 or bfloat16, with the channels first or last in memory.
    """
    if not cuts.numel():
        return
    kind = 0 if mean is None else 1 if mean.dim() == 1 else 2
    height, width = mean.shape[-2:] if mean is not None and kind == 2 else (0, 0)
    with torch.cuda.device_of(cuts):
        _finish[(triton.cdiv(cuts.numel(), BLOCK),)](
            cuts,
            places,
            cuts if mean is None else mean,
            out,
            cuts.numel(),
            scale,
            *cuts.shape[1:],
            height,
            width,
            kind,
            scale != 1,
            not out.is_contiguous(),
            BLOCK,
        )


@triton.jit
def _finish(
    cuts_ptr: tl.tensor,
    places_ptr: tl.tensor,
    mean_ptr: tl.tensor,
    out_ptr: tl.tensor,
    count: tl.tensor,
    scale: tl.tensor,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    MEAN_HEIGHT: tl.constexpr,
    MEAN_WIDTH: tl.constexpr,
    MEAN: tl.constexpr,
    SCALED: tl.constexpr,
    LAST: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    if LAST:  # the channels, in memory
        channel, pixel = at % CHANNELS, at // CHANNELS
        x, y, image = pixel % WIDTH, pixel // WIDTH % HEIGHT, pixel // (WIDTH * HEIGHT)
    else:
        x, y, plane = at % WIDTH, at // WIDTH % HEIGHT, at // (WIDTH * HEIGHT)
        channel, image = plane % CHANNELS, plane // CHANNELS
    value = tl.load(cuts_ptr + ((image * CHANNELS + channel) * HEIGHT + y) * WIDTH + x, inside).to(tl.float32)
    if MEAN == 1:
        value -= tl.load(mean_ptr + channel, inside)
    if MEAN == 2:
        mirrored = tl.load(places_ptr + 3 * image, inside)
        row = tl.load(places_ptr + 3 * image + 1, inside) + y
        column = tl.load(places_ptr + 3 * image + 2, inside) + tl.where(mirrored != 0, WIDTH - 1 - x, x)
        value -= tl.load(mean_ptr + (channel * MEAN_HEIGHT + row) * MEAN_WIDTH + column, inside)
    if SCALED:
        value *= scale
    tl.store(out_ptr + at, value.to(out_ptr.dtype.element_ty), inside)
