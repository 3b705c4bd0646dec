"""How the coordinates of one top relate to those of another: what a Crop layer between them has to cut off.

A map is (axis, scale, shift), axis being the first one that it is about: coordinate i of the top comes from coordinate
(i - shift) / scale of the bottom. (None, 1, 0) says that the layer leaves coordinates alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from caffe_compat.errors import CaffeError
from caffe_compat.net_spec import Function, Top, layers

Map = tuple[Any, Any, Any]  # int or None, and two numbers or arrays with one for each spatial axis

IDENTITY: Map = (None, 1, 0)
PASS_THROUGH_LAYERS = [
    *("AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN", "MVN", "Power", "PReLU"),
    *("ReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold"),
]


class UndefinedMapException(Exception):
    """The layer's tops have no coordinates that come from its bottoms'."""


class AxisMismatchException(Exception):
    """Two maps are about different axes."""


def coord_map(fn: Function) -> Map:
    """The map of a layer. UndefinedMapException for types that have none, such as InnerProduct."""
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # a convolution names the axis before the first one that it is about
    raise UndefinedMapException(fn.type_name)


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Axis, stride, extent of the dilated kernel, and pad of a layer that slides a window."""
    params = fn.params.get("convolution_param", fn.params)
    sides = [name for name in params if name.endswith(("_h", "_w"))]
    if sides:
        raise CaffeError(f"L.{fn.type_name}: crop does not know {', '.join(sides)}; use kernel_size, stride and pad")
    kernel, dilation, stride, pad = (
        np.array(params[name] if default is None else params.get(name, default), ndmin=1)
        for name, default in (("kernel_size", None), ("dilation", 1), ("stride", 1), ("pad", 0))
    )
    return params.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """Axis and offset of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def compose(base_map: Map, next_map: Map) -> Map:
    """The map that goes through ``base_map`` and on through ``next_map``, towards the bottom."""
    (axis, scale, shift), (next_axis, next_scale, next_shift) = base_map, next_map
    if axis is None:
        axis = next_axis
    elif next_axis not in (None, axis):
        raise AxisMismatchException(f"axis {axis} and axis {next_axis}")
    return axis, scale * next_scale, scale * next_shift + shift


def inverse(coord_map: Map) -> Map:
    """The map in the other direction."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from a top to another one that has an ancestor in common with it.

    RuntimeError if there is no such ancestor that both reach by layers with a map.
    """
    from_maps = dict(_ancestors(top_from))
    for top, to_map in _ancestors(top_to):
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def _ancestors(top: Top) -> Iterator[tuple[Top, Map]]:
    """A top and all that it is computed from, with the map to each; layers without a map end the walk."""
    maps = {top: IDENTITY}
    frontier = [top]
    while frontier:
        top = frontier.pop()
        yield top, maps[top]
        bottoms = top.fn.inputs[:1] if top.fn.type_name == "Crop" else top.fn.inputs  # its second is only measured
        for bottom in bottoms:
            if bottom in maps:  # reached already; every way there gives the same map
                continue
            try:
                maps[bottom] = compose(maps[top], coord_map(top.fn))
            except UndefinedMapException:
                break
            frontier.append(bottom)


def crop(top_from: Top, top_to: Top) -> Any:
    """``L.Crop`` that cuts ``top_from`` down to the size of ``top_to``, where their coordinates agree.

    CaffeError if one of them is scaled against the other, or if there is nothing to cut off.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    for fault, what, value in (
        (np.any(scale != 1), "scale mismatch on crop", scale),
        (np.any(np.asarray(shift) > 0), "cannot crop negative width", shift),
        (np.any(np.round(shift) != shift), "cannot crop noninteger width", shift),
    ):
        if fault:
            raise CaffeError(f"crop: {what}: {np.asarray(value).tolist()}")
    offset = (-np.round(np.atleast_1d(shift))).astype(int).tolist()
    return layers.Crop(top_from, top_to, crop_param={"axis": (1 if axis is None else axis) + 1, "offset": offset})
