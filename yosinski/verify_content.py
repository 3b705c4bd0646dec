"""Does an ONNX file hold, and say, what an export of its sources would hold and say?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from caffe_compat.errors import CaffeError
from yosinski.deployment import Deployment
from yosinski.onnx_model import OnnxModel

ABOUT_IMAGES = ("channel_order", "crop_size", "scale", "mean_sha256", "mean_value")  # keys of the metadata


def departures(model: OnnxModel, deployment: Deployment, weights: Sequence[Path]) -> list[str]:
    """One line for each thing that is different; models of other exporters are not looked at.

    Compares what the metadata say about the images, and all constants, to the bit: of a large layer, one altered weight
    may change the scores by less than different runtimes differ.
    """
    from caffe_compat.export.half import to_half
    from yosinski.export import build

    if model.proto.producer_name != "caffe_compat":
        return []
    image = model.image_shape if model.takes_pixels else None
    try:
        made = build(deployment, weights, [value.name for value in model.proto.graph.output], image)
    except CaffeError as error:
        return [f"its sources give no such model: {error}"]
    expected = to_half(made) if model.in_half else made
    said = {entry.key: entry.value for entry in made.metadata_props}
    found = [
        f"metadata: {key} is {model.metadata.get(key, 'missing')}, its sources give {said.get(key, 'none')}"
        for key in ABOUT_IMAGES
        if model.metadata.get(key) != said.get(key)
    ]
    constants = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    for tensor in expected.graph.initializer:
        if tensor.name in constants:
            ours, theirs = (numpy_helper.to_array(one) for one in (tensor, constants[tensor.name]))
            if ours.shape != theirs.shape or not np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
                found.append(_describe(tensor.name, ours, theirs))
    return found


def _describe(name: str, ours: np.ndarray, theirs: np.ndarray) -> str:
    layer, _, what = name.rpartition("/")
    if ours.shape != theirs.shape:
        return f"layer {layer}: {what} has the shape {list(theirs.shape)}, its sources give {list(ours.shape)}"
    differ = np.count_nonzero(ours != theirs)
    delta = np.abs(ours.astype(np.float64) - theirs).max()
    return f"layer {layer}: {what} differs from its sources in {differ} of {ours.size} values, by up to {delta:.3g}"
