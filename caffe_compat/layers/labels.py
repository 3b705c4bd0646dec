"""Labels, which come as floats, as indices of classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape


def class_indices(layer: Layer, labels: Tensor, classes: int, ignore: int | None) -> tuple[Tensor, Tensor | None]:
    """Indices that are safe to gather with, and a mask of the positions that count (None: all of them).

    Caffe truncates the float and looks no further; a label beyond the classes reads memory that is not its own. On the
    CPU we check; on a GPU that would hold up every iteration, and torch's own device assertion stops the program.
    """
    index = labels.to(torch.int64)
    valid = None if ignore is None else index != ignore
    if valid is not None:
        index = index.masked_fill(~valid, 0)
    if index.device.type == "cpu" and index.numel() and not 0 <= int(index.min()) <= int(index.max()) < classes:
        worst = int(index.min()) if int(index.min()) < 0 else int(index.max())
        layer.fail(f"label {worst} in bottom {layer.param.bottom[1]!r} is not one of the classes 0 to {classes - 1}")
    return index, valid


def check_one_for_each(layer: Layer, scores: Shape, labels: Shape, along: int) -> None:
    """Fail unless there are as many labels as positions in scores whose classes lie along an axis."""
    positions = math.prod(scores[:along]) * math.prod(scores[along + 1 :])
    if math.prod(labels) != positions:
        layer.fail(
            f"number of labels must match number of predictions: {math.prod(labels)} labels in a bottom of shape "
            f"{list(labels)}, {positions} positions in scores of shape {list(scores)} along axis {along}"
        )


def check_same_images(layer: Layer, shapes: list[Shape]) -> None:
    """Fail unless the first two bottoms, predictions and labels, are of equally many images (LossLayer::Reshape)."""
    if not shapes[0] or shapes[0][:1] != shapes[1][:1]:
        layer.fail(
            "The data and label should have the same first dimension; bottoms have the shapes "
            f"{list(shapes[0])} and {list(shapes[1])}"
        )
