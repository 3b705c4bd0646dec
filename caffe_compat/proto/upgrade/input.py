"""The net's input fields became a layer (2016)."""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import CaffeError


def needs_input_upgrade(net: Any) -> bool:
    """Whether the net names inputs."""
    return bool(net.input)


def upgrade_input(net: Any, source: str) -> None:
    """Put an Input layer in front, in place. Inputs without any shape vanish, as in Caffe.

    Raises CaffeError if there are shapes, but not for every input.
    """
    if net.input_shape or net.input_dim:
        layer = net.layer.add(name="input", type="Input", top=net.input)
        for index in range(len(net.input)):
            layer.input_param.shape.add(dim=_shape(net, index, source))
        net.layer.insert(0, layer)  # a copy
        del net.layer[-1]
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def _shape(net: Any, index: int, source: str) -> list[int]:
    if net.input_shape:
        if index < len(net.input_shape):
            return list(net.input_shape[index].dim)
        raise CaffeError(f'{source}: no input_shape for input "{net.input[index]}"; expected one for each input')
    dims = list(net.input_dim[4 * index : 4 * index + 4])
    if len(dims) < 4:
        raise CaffeError(
            f'{source}: {len(dims)} input_dim left for input "{net.input[index]}"; expected four for each input'
        )
    return dims
