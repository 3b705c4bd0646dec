"""Batches of small raw images in a few calls for all: one by one they would cost more in Python than in arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from caffe_compat.data.datum import Record, Relabelled, before_pixels, parse
from caffe_compat.data.transform import Placement, Transformer
from caffe_compat.errors import CaffeError

HEIGHT_AND_WIDTH: Any = (2, 3)  # axes, of which the types of NumPy for Python 3.10 know only one


def parse_alike(records: Sequence[Record]) -> tuple[NDArray[np.uint8], list[int]] | None:
    """The images (n, channels, height, width) and labels of raw records of one shape, as Caffe's tools write them.

    None for other records, sound or not.
    """
    try:
        first = parse(records[0])
        if first.encoded or len(first.data) != first.channels * first.height * first.width:
            return None
        head = before_pixels(first.channels, first.height, first.width)
        end = len(head) + len(first.data)
        pixels, labels = [], []
        for record in records:
            whole, label = (record.record, record.label) if isinstance(record, Relabelled) else (record, None)
            tail = parse(whole[end:])
            if whole[: len(head)] != head or tail.encoded or tail.channels or tail.height or tail.width or tail.data:
                return None
            pixels.append(whole[len(head) : end])
            labels.append(tail.label if label is None else label)
        images = np.frombuffer(b"".join(pixels), np.uint8)
        return images.reshape(len(records), first.channels, first.height, first.width), labels
    except (CaffeError, ValueError):
        return None


def transform_alike(
    transformer: Transformer, images: NDArray[np.uint8], places: Sequence[Placement], out: NDArray[np.float32]
) -> None:
    """What ``Transformer.apply`` does, for all images of a batch, to the bit."""
    mirror, top, left = (np.array(column) for column in zip(*places))
    size, each = out.shape[2:], np.arange(len(out))
    cuts = sliding_window_view(images, size, HEIGHT_AND_WIDTH)[each, :, top, left]
    np.copyto(out, _mirrored(cuts, mirror))
    if transformer.mean_file:
        # Indices on both sides of a slice, so that the images come first and the channels behind them.
        means = sliding_window_view(transformer.mean[None], size, HEIGHT_AND_WIDTH)[0 * each, :, top, left]
        np.subtract(out, _mirrored(means, mirror), out=out)
    transformer.end(out)


def _mirrored(images: NDArray, mirror: NDArray[np.bool_]) -> NDArray:
    images[mirror] = images[mirror][..., ::-1]
    return images
