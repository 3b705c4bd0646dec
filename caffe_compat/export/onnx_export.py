"""A net as an ONNX file: walks the layers and lets each append its own nodes.

Opset 17 with IR version 8: everything that the rules need is there, every ONNX Runtime since 1.12 (2022) loads it, and
it lies below opset 19, whose AveragePool several runtimes compute wrongly.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from importlib import metadata as packages

import onnx
from onnx import checker, helper, shape_inference

from caffe_compat.atomic import writing
from caffe_compat.blob import settle
from caffe_compat.errors import CaffeError
from caffe_compat.export.graph import FixedSizeNeeded, Graph, unique
from caffe_compat.export.sizes import Free, Step, dims, free_sizes
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

OPSET = 17
IR_VERSION = 8
STATELESS = "zero at the start of every run: what a run leaves behind does not go into the next one"


def export_onnx(
    net: Net,
    path: str | os.PathLike[str],
    metadata: Mapping[str, object] | None = None,
    outputs: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Write ``to_onnx``'s model to ``path``, whole or not at all, and return it."""
    model = _build(net, metadata, outputs)
    write_onnx(model, path)
    return model


def write_onnx(model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    """Check a model and write it, whole or not at all."""
    content = check_onnx(model)
    with writing(path) as temporary:
        temporary.write_bytes(content)


def to_onnx(
    net: Net, metadata: Mapping[str, object] | None = None, outputs: Sequence[str] | None = None
) -> onnx.ModelProto:
    """The ONNX model of a TEST phase net with Input layers, float32, checked.

    A value has the name of its blob. Where in-place layers overwrite the blob, the last value has it, those before it
    are ``BLOB@LAYER``, LAYER being what computed them; only an input keeps its name, and what overwrites it is
    ``BLOB@LAYER``. The batch is the symbolic ``N`` where no layer fixes it (see ``free_sizes``).

    Recurrent layers that do not expose their state begin every run with a state of zero. In Caffe it lives on from
    forward to forward, for which ONNX has no means; the model takes sequences of any length instead, and says so in
    its metadata (``recurrent_state``).

    Args:
        metadata: goes into the model's metadata as text, except for values of None.
        outputs: blobs to give out (default: the net's outputs); layers that none of them needs are left out.

    Raises:
        CaffeError: a layer has no ONNX form, or the net has no such outputs.
    """
    model = _build(net, metadata, outputs)
    check_onnx(model)
    return model


def _build(net: Net, metadata: Mapping[str, object] | None, outputs: Sequence[str] | None) -> onnx.ModelProto:
    if net.phase != caffe_pb2.TEST:
        raise CaffeError(f"net {net.name!r} is in phase TRAIN; expected a net in phase TEST for export")
    settle()
    for layer in net.layers:
        if layer.type == "Input" and not layer.param.input_param.shape:
            names = ", ".join(map(repr, layer.param.top))
            raise CaffeError(f"input {names} of net {net.name!r} has no shape; expected one, batch first")
    steps, final = steps_of(net)
    given = [final[blob] for blob in _outputs(net, outputs)]
    steps = _needed(steps, given)
    props = dict(metadata or {})
    if any(step.layer.time_major and len(step.tops) == 1 for step in steps):
        props.setdefault("recurrent_state", STATELESS)
    model = helper.make_model(
        _graph(net, steps, given),
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="caffe_compat",
        producer_version=packages.version("yosinski"),
        doc_string=f"The Caffe net {net.name!r} in phase TEST.",
    )
    set_metadata(model, props)
    return model


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, object]) -> None:
    """Add to a model's metadata, as text; values of None are left out."""
    props = {entry.key: entry.value for entry in model.metadata_props}
    props.update({key: str(value) for key, value in metadata.items() if value is not None})
    helper.set_model_props(model, props)


def check_onnx(model: onnx.ModelProto) -> bytes:
    """The model as a file's content, checked: names, operators and types, and our shapes against inferred ones."""
    content = model.SerializeToString()
    try:
        checker.check_model(content, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        reason = " ".join(str(error).split())
        raise CaffeError(f"net {model.graph.name!r}: the ONNX graph is not valid: {reason}") from None
    return content


def steps_of(net: Net) -> tuple[list[Step], dict[str, str]]:
    """The layers in order with the names of their values, and for each blob the name of its last value."""
    last = {blob: i for i, wiring in enumerate(net.wirings) for blob in wiring.tops if blob not in net.inputs}
    names = set(net.blobs)
    current: dict[str, str] = {}
    steps = []
    for i, wiring in enumerate(net.wirings):
        bottoms = [current[blob] for blob in wiring.bottoms]
        for blob in wiring.tops:
            named = wiring.layer.type == "Input" or last.get(blob) == i
            current[blob] = blob if named else unique(f"{blob}@{wiring.layer.name}", names)
        steps.append(Step(wiring.layer, bottoms, [current[blob] for blob in wiring.tops]))
    return steps, current


def _needed(steps: Sequence[Step], outputs: Sequence[str]) -> list[Step]:
    """The steps that lead to the outputs; of Input layers the tops that do."""
    needed, found = set(outputs), []
    for step in reversed(steps):
        if needed.intersection(step.tops):
            needed.update(step.bottoms)
            is_input = step.layer.type == "Input"
            tops = [top for top in step.tops if top in needed or not is_input]
            found.append(Step(step.layer, step.bottoms, tops))
    return found[::-1]


def _graph(net: Net, steps: Sequence[Step], outputs: Sequence[str]) -> onnx.GraphProto:
    """The graph with as many sizes free as the layers' rules permit."""
    inputs = {top: net.blobs[top].shape for step in steps if step.layer.type == "Input" for top in step.tops}
    free = free_sizes(steps, inputs)
    while True:
        try:
            return _graph_of(net, steps, inputs, outputs, free)
        except FixedSizeNeeded:
            fixable = [one for one in free if not one.needed]
            if not fixable:
                raise CaffeError(f"net {net.name!r}: a layer needs to know how many images Filter passes on") from None
            free.remove(fixable[-1])


def _graph_of(
    net: Net, steps: Sequence[Step], inputs: Mapping[str, tuple[int, ...]], outputs: Sequence[str], free: Sequence[Free]
) -> onnx.GraphProto:
    graph = Graph(value for step in steps for value in step.tops)
    known = dims(steps, inputs, free)
    for step in steps:
        graph.layer = step.layer.name
        for top in step.tops:
            graph.declare(top, known[top])
        step.layer.onnx(graph, step.bottoms, step.tops)
    return graph.make(net.name or "net", list(inputs), outputs)


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
