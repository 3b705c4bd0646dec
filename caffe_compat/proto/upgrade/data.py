"""The data layers' transformation fields became a message of their own (July 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

DATA_PARAMS = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
FIELDS = ("scale", "mean_file", "crop_size", "mirror")


def needs_data_upgrade(net: Any) -> bool:
    """Whether a V1 data layer has such fields itself. Caffe never looks at V2 layers, where they have no effect."""
    return any(param.HasField(name) for _, param in _data_layers(net) for name in FIELDS)


def upgrade_data_transformation(net: Any) -> None:
    """Move the fields to `transform_param`, over what is there; in place."""
    for layer, param in _data_layers(net):
        transform = layer.transform_param
        # Caffe touches both messages of every data layer, so both exist from then on.
        param.SetInParent()
        transform.SetInParent()
        for name in FIELDS:
            if param.HasField(name):
                setattr(transform, name, getattr(param, name))
                param.ClearField(name)


def _data_layers(net: Any) -> Iterator[tuple[Any, Any]]:
    for layer in net.layers:
        if (kind := layer.LayerType.Name(layer.type)) in DATA_PARAMS:
            yield layer, getattr(layer, DATA_PARAMS[kind])
