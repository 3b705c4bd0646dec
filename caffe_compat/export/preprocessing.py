"""Crop, mean and scale as the first nodes of a model, so that images go in as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper

from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.export.graph import Graph
from caffe_compat.proto import caffe_pb2

LAYER = "transform"


def add_preprocessing(model: onnx.ModelProto, transform: Any, image: Sequence[int]) -> None:
    """Put what Caffe's TEST phase does with images in front of a model, whose only input are transformed images.

    The input keeps its name and becomes uint8 (N, channels, height, width): planes blue, green, red, as a Datum stores
    them. out = (pixel - mean) * scale on the central crop, in float32, the mean being taken at the crop's place.

    Args:
        transform: the TransformationParameter.
        image: (channels, height, width) before the crop.

    Raises:
        CaffeError: transform and model do not fit together.
    """
    inputs = model.graph.input
    dims = [dim.dim_param or dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim] if inputs else []
    if len(inputs) != 1 or len(dims) != 4:
        names = ", ".join(f"{value.name!r}" for value in inputs)
        raise CaffeError(f"preprocessing is for nets with one input of images; this one has {names or 'none'}")
    transformer = Transformer(transform, caffe_pb2.TEST)
    channels, height, width = transformer.shape(image)
    if [channels, height, width] != dims[1:]:
        raise CaffeError(f"the transformed images are {[channels, height, width]}, the net takes {dims[1:]}")
    name, batch = inputs[0].name, dims[0]
    top, left = (image[1] - height) // 2, (image[2] - width) // 2
    graph = Graph(_values(model))
    graph.layer = LAYER
    x = graph.node("Cast", [name], to=TensorProto.FLOAT)
    if transformer.crop:
        begins, ends = graph.integers([top, left], "begins"), graph.integers([top + height, left + width], "ends")
        x = graph.node("Slice", [x, begins, ends, graph.integers([2, 3], "axes")])
    if transformer.mean_file:
        mean = transformer.mean[None, :, top : top + height, left : left + width]
        x = graph.node("Sub", [x, graph.constant(mean, "mean")])
    elif len(transformer.mean_values):
        x = graph.node("Sub", [x, graph.constant(transformer.mean_values[None, :, None, None], "mean")])
    x = graph.times(x, float(transformer.scale))
    transformed = f"{name}@{LAYER}"
    graph.give(x, transformed)
    for node in model.graph.node:
        node.input[:] = [transformed if value == name else value for value in node.input]
    _prepend(model.graph, graph.make(LAYER, [], []))
    model.graph.value_info.append(helper.make_tensor_value_info(transformed, TensorProto.FLOAT, dims))
    inputs[0].CopyFrom(helper.make_tensor_value_info(name, TensorProto.UINT8, [batch, *image]))


def _prepend(graph: onnx.GraphProto, first: onnx.GraphProto) -> None:
    nodes = [*first.node, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(first.initializer)


def _values(model: onnx.ModelProto) -> set[str]:
    graph = model.graph
    named = {value.name for value in [*graph.input, *graph.initializer]}
    return named.union(value for node in graph.node for value in node.output)
