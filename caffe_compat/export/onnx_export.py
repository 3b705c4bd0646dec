"""A net as an ONNX file: walks the layers and lets each append its own nodes.

Opset 17 with IR version 8: everything that the rules need is there, every ONNX Runtime since 1.12 (2022) loads it, and
it lies below opset 19, whose AveragePool several runtimes compute wrongly.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata as packages

import onnx
from onnx import checker, helper, shape_inference

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError
from caffe_compat.export.graph import Dims, Graph, unique
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

OPSET = 17
IR_VERSION = 8
BATCH = "N"


def export_onnx(
    net: Net,
    path: str | os.PathLike[str],
    metadata: Mapping[str, object] | None = None,
    outputs: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Write ``to_onnx``'s model to ``path``, whole or not at all, and return it."""
    model = _build(net, metadata, outputs)
    content = _checked(model)
    with writing(path) as temporary:
        temporary.write_bytes(content)
    return model


def to_onnx(
    net: Net, metadata: Mapping[str, object] | None = None, outputs: Sequence[str] | None = None
) -> onnx.ModelProto:
    """The ONNX model of a TEST phase net with Input layers, float32, checked.

    A value has the name of its blob. Where in-place layers overwrite the blob, the last value has it, those before it
    are ``BLOB@LAYER``, LAYER being what computed them; only an input keeps its name, and what overwrites it is
    ``BLOB@LAYER``. The inputs' first axis is the symbolic ``N`` where all inputs agree in it and no layer fixes it.

    Args:
        metadata: goes into the model's metadata as text, except for values of None.
        outputs: blobs to give out (default: the net's outputs); layers that none of them needs are left out.

    Raises:
        CaffeError: a layer has no ONNX form, or the net has no such outputs.
    """
    model = _build(net, metadata, outputs)
    _checked(model)
    return model


def _build(net: Net, metadata: Mapping[str, object] | None, outputs: Sequence[str] | None) -> onnx.ModelProto:
    if net.phase != caffe_pb2.TEST:
        raise CaffeError(f"net {net.name!r} is in phase TRAIN; expected a net in phase TEST for export")
    steps, final = _steps(net)
    chosen = _outputs(net, outputs)
    needed = {final[blob] for blob in chosen}
    todo = []
    for step in reversed(steps):
        if needed.intersection(step.tops):
            needed.update(step.bottoms)
            todo.append(step)
    graph = Graph(value for step in steps for value in step.tops)
    for step in reversed(todo):
        graph.layer = step.layer.name
        for value, shape, dims in zip(step.tops, step.shapes, step.dims):
            if step.layer.type != "Input" or value in needed:
                graph.declare(value, shape, dims)
        if step.layer.type != "Input":
            step.layer.onnx(graph, step.bottoms, step.tops)
    inputs = [name for name in net.inputs if name in needed]
    model = helper.make_model(
        graph.make(net.name or "net", inputs, [final[blob] for blob in chosen]),
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="caffe_compat",
        producer_version=packages.version("yosinski"),
        doc_string=f"The Caffe net {net.name!r} in phase TEST.",
    )
    helper.set_model_props(model, {key: str(value) for key, value in (metadata or {}).items() if value is not None})
    return model


def _checked(model: onnx.ModelProto) -> bytes:
    """The model as a file's content, checked: names, operators and types, and our shapes against inferred ones."""
    content = model.SerializeToString()
    try:
        checker.check_model(content, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        reason = " ".join(str(error).split())
        raise CaffeError(f"net {model.graph.name!r}: the ONNX graph is not valid: {reason}") from None
    return content


@dataclass(frozen=True)
class _Step:
    """A layer with the names of the values that it reads and writes, and the shapes of the latter."""

    layer: Layer
    bottoms: list[str]
    tops: list[str]
    shapes: list[Shape]
    dims: list[Dims]


def _steps(net: Net) -> tuple[list[_Step], dict[str, str]]:
    """The layers in order, and for each blob the name of its last value."""
    last = {blob: i for i, wiring in enumerate(net.wirings) for blob in wiring.tops if blob not in net.inputs}
    names = set(net.blobs)
    current: dict[str, str] = {}
    steps = []
    for i, (wiring, shapes, dims) in enumerate(zip(net.wirings, *_dims(net))):
        bottoms = [current[blob] for blob in wiring.bottoms]
        for blob in wiring.tops:
            named = wiring.layer.type == "Input" or last.get(blob) == i
            current[blob] = blob if named else unique(f"{blob}@{wiring.layer.name}", names)
        steps.append(_Step(wiring.layer, bottoms, [current[blob] for blob in wiring.tops], shapes, dims))
    return steps, current


def _outputs(net: Net, wanted: Sequence[str] | None) -> list[str]:
    """The blobs to give out. An input that no layer reads is no output."""
    computed = {blob for wiring in net.wirings if wiring.layer.type != "Input" for blob in wiring.tops}
    for blob in wanted or ():
        if blob not in computed:
            near = difflib.get_close_matches(blob, computed, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else f"; its blobs: {', '.join(sorted(computed))}"
            raise CaffeError(f"net {net.name!r} computes no blob {blob!r} to give out{hint}")
    chosen = list(dict.fromkeys(net.outputs if wanted is None else wanted))
    chosen = [blob for blob in chosen if blob in computed]
    if not chosen:
        raise CaffeError(f"net {net.name!r} has no outputs to export")
    return chosen


def _dims(net: Net) -> tuple[list[list[Shape]], list[list[Dims]]]:
    """Shapes of every layer's tops, by the layers' own rules, and the same with names for sizes that follow the batch.

    Which those are is found by asking all layers for a batch of one more.
    """
    for name in net.inputs:
        if not net.blobs[name].shape:
            raise CaffeError(f"input {name!r} of net {net.name!r} has no shape; expected one, batch first")
    batches = {net.blobs[name].shape[0] for name in net.inputs}
    try:
        larger = _shapes(net, batches.pop() + 1) if len(batches) == 1 else None
    except CaffeError:
        larger = None  # a layer fixes the batch, such as InnerProduct along axis 0
    own = _shapes(net, None)  # also leaves the layers as they were
    if larger is None:
        return own, [list(shapes) for shapes in own]
    batch = net.blobs[net.inputs[0]].shape[0]

    def named(blob: str, axis: int, size: int, other: int) -> int | str:
        return size if size == other else BATCH if (size, other) == (batch, batch + 1) else f"{blob}.{axis}"

    return own, [
        [
            tuple(named(blob, axis, *pair) for axis, pair in enumerate(zip(shape, other)))
            for blob, shape, other in zip(wiring.tops, shapes, others)
        ]
        for wiring, shapes, others in zip(net.wirings, own, larger)
    ]


def _shapes(net: Net, batch: int | None) -> list[list[Shape]]:
    """Shapes of every layer's tops, for another batch size if one is given; no blob is touched."""
    known: dict[str, Shape] = {}
    result = []
    for wiring in net.wirings:
        if wiring.layer.type == "Input":
            shapes = [net.blobs[name].shape for name in wiring.tops]
            shapes = [shape if batch is None else (batch, *shape[1:]) for shape in shapes]
        else:
            shapes = wiring.layer.reshape([known[name] for name in wiring.bottoms])
        known.update(zip(wiring.tops, shapes))
        result.append(shapes)
    return result
