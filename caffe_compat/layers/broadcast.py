"""How Scale and Bias spread a blob with fewer axes over the bottom."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape


def covered_axes(layer: Layer, axis: int, num_axes: int, shape: Shape) -> tuple[int, int]:
    """First and end axis of the bottom that a parameter covers; ``num_axes`` -1 means all from ``axis`` on."""
    if num_axes < -1:
        layer.fail(f"num_axes: {num_axes}, expected -1 or more")
    first = layer.axis(axis, shape)
    end = len(shape) if num_axes == -1 else first + num_axes
    if end > len(shape):
        layer.fail(f"axis {axis} and num_axes {num_axes} reach beyond the bottom's shape {list(shape)}")
    return first, end


def check_second_bottom(layer: Layer, axis: int, shapes: list[Shape]) -> int:
    """Where the second bottom's axes begin in the first one's shape."""
    first = 0 if not shapes[1] or not shapes[0] else layer.axis(axis, shapes[0])
    if shapes[0][first : first + len(shapes[1])] != shapes[1]:
        layer.fail(
            f"bottom 1 of shape {list(shapes[1])} does not fit bottom 0 of shape {list(shapes[0])} at axis {axis}"
        )
    return first


def check_fit(layer: Layer, covered: Shape, first: int, shape: Shape) -> None:
    """Fail unless a blob of shape ``covered`` still fits a bottom that has been reshaped."""
    if shape[first : first + len(covered)] != covered:
        layer.fail(f"a blob of shape {list(covered)} does not fit the bottom {list(shape)} at axis {first}")


def spread(values: Tensor, first: int, x: Tensor) -> Tensor:
    """``values`` in a shape that broadcasts over ``x``, its axes beginning at ``first``."""
    return values.view([*values.shape, *[1] * (x.dim() - first - values.dim())])
