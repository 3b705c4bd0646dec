"""Caffe's layers: one file a family, one class a type. A new file here is found by the registry.

In pycaffe ``caffe.layers`` is something else: ``layers.Convolution(bottom, ...)`` specifies a layer of a NetSpec. Both
fit under one name, as the types of layers begin with a capital and the files here do not.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from caffe_compat.net_spec import layers

    return getattr(layers, name)
