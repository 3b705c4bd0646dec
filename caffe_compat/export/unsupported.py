"""What has no ONNX form, and why: each layer class says so itself."""

from __future__ import annotations

from dataclasses import dataclass

from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import layer_class, layer_type_list


@dataclass(frozen=True)
class Unsupported:
    """A layer type, or an option of it, that cannot be exported.

    Attributes:
        partly: whether the type as such can be exported.
    """

    type: str
    reason: str
    partly: bool


def unsupported() -> list[Unsupported]:
    """All of them, types that cannot be exported at all first."""
    classes = [layer_class(name, "") for name in layer_type_list()]
    found = [Unsupported(c.type, c.no_onnx, c.onnx is not Layer.onnx) for c in classes if c.no_onnx]
    return sorted(found, key=lambda entry: entry.partly)
