"""Layer types by the string that stands in a prototxt."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, TypeVar

from caffe_compat import net_log
from caffe_compat.errors import CaffeError

if TYPE_CHECKING:
    from caffe_compat.layers.base import Layer

_classes: dict[str, type[Layer]] = {}
LayerClass = TypeVar("LayerClass", bound="type[Layer]")


def register(layer_class: LayerClass) -> LayerClass:
    """Class decorator: make a layer known under its ``type``."""
    _classes[layer_class.type] = layer_class
    return layer_class


@functools.cache
def _import_all() -> None:
    """A module in this package is a layer family; importing it registers its classes."""
    package = importlib.import_module("caffe_compat.layers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def layer_type_list() -> list[str]:
    """All known types in alphabetical order, as pycaffe's function of that name."""
    _import_all()
    return sorted(_classes)


def layer_class(layer_type: str, where: str) -> type[Layer]:
    """The class of a type; ``where`` (file, line, layer) starts the error for an unknown one."""
    _import_all()
    if not layer_type:
        raise CaffeError(f"{where}: no type")
    if layer_type not in _classes:
        near = difflib.get_close_matches(layer_type, _classes, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else f"; known types: {', '.join(sorted(_classes))}"
        raise CaffeError(f"{where}: unknown layer type {layer_type!r}{hint}")
    return _classes[layer_type]


def create_layer(param: Any, phase: int, where: str = "") -> Layer:
    """Make the layer of a LayerParameter (not set up yet)."""
    net_log.creating(param.name)
    where = where or f"layer {param.name!r}"
    return layer_class(param.type, where)(param, phase, where)
