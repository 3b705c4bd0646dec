"""Exported layers and nets in ONNX Runtime and in onnx's own evaluator, against what BVLC Caffe 1.0 computed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.export.onnx_export import to_onnx
from caffe_compat.export.reference import reference_evaluator
from caffe_compat.export.unsupported import unsupported
from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import layer_class, layer_type_list
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "layers" / "index.json").read_text())["cases"]}
NETS = {case["name"]: case for case in json.loads((GOLDEN / "nets" / "index.json").read_text())["cases"]}
REFUSED = {entry.type for entry in unsupported() if not entry.partly}
# Normalised by the batch's own statistics, which in use are the stored ones.
TRAINING_ONLY = ("bn_train", "bn_train_history", "bn_train_2d", "bn_train_n1", "bn_inplace", "combo_bn_scale")
EXPORTED = [
    name for name, case in CASES.items() if case["type"] not in REFUSED and case["tops"] and name not in TRAINING_ONLY
]


TESTED_NETS = [name for name, case in NETS.items() if case.get("phase") == "TEST"]


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The model's outputs, by runtime."""
    feed = {value.name: feed[value.name] for value in model.graph.input}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = {"onnxruntime": session.run(None, feed)}
    with np.errstate(all="ignore"):  # Caffe's empty AVE window is 0 / 0
        found["onnx.reference"] = reference_evaluator(model).run(None, feed)
    if find_spec("openvino"):
        found["openvino"] = run_openvino(model, feed)
    return found


def run_openvino(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The model's outputs in OpenVINO, which drops inputs that no node reads."""
    import openvino

    core = openvino.Core()
    network = core.compile_model(core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = {name for port in network.inputs for name in port.get_names()}
    found = network({name: values for name, values in feed.items() if name in names})
    return [np.array(found[value.name]) for value in model.graph.output]


def layer_net(name: str) -> tuple[Net, dict[str, Any], dict[str, np.ndarray]]:
    """The case's net with its parameters, the case, and its arrays."""
    case, net = CASES[name], Net(GOLDEN / "layers" / f"{name}.prototxt", caffe_pb2.TEST)
    with np.load(GOLDEN / "layers" / f"{name}.npz") as file:
        arrays = dict(file)
    for i, (layer, index) in enumerate(case["params"]):
        net.params[layer][index].data[...] = arrays[f"param_{i}"]
    return net, case, arrays


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_layer_computes_what_caffe_computes(name: str, agree) -> None:
    net, case, arrays = layer_net(name)
    model = to_onnx(net, outputs=case["tops"])
    feed = {blob: arrays[f"bottom_{i}"] for i, blob in enumerate(case["bottoms"])}
    for runtime, tops in run(model, feed).items():
        for i, top in enumerate(tops):
            agree(f"{runtime}, top {i}", top, arrays[f"top_{i}"], case)


def golden_net(name: str) -> tuple[Net, dict[str, Any], dict[str, np.ndarray]]:
    """The net with its weights, the case, and its arrays."""
    case = NETS[name]
    path = GOLDEN / "nets" / case["dir"] / case["prototxt"]
    with np.load(GOLDEN / "nets" / case["npz"]) as file:
        return Net(path, caffe_pb2.TEST, weights=GOLDEN / "nets" / case["weights"]), case, dict(file)


def exported_blobs(net: Net) -> list[str]:
    """All that the net computes, but for losses and accuracies."""
    computed = [top for wiring in net.wirings if wiring.layer.type not in {*REFUSED, "Input"} for top in wiring.tops]
    return [blob for blob in dict.fromkeys(computed) if "_split_" not in blob]


@pytest.mark.parametrize("name", TESTED_NETS)
def test_exported_net_computes_caffes_blobs(name: str, agree) -> None:
    net, case, arrays = golden_net(name)
    every = exported_blobs(net)
    model = to_onnx(net, outputs=every)
    for runtime, tops in run(model, {name: arrays[f"in|{name}"] for name in net.inputs}).items():
        for blob, top in zip(every, tops):
            agree(f"{runtime}, {blob}", top, arrays[f"blob|{blob}"], case)


@pytest.mark.parametrize("name", EXPORTED)
def test_free_sizes_are_free(name: str) -> None:
    """Another batch, and another time, than the model was exported with."""
    net, case, arrays = layer_net(name)
    model = to_onnx(net, outputs=case["tops"])
    dims = {value.name: shape_of(value) for value in model.graph.input}
    symbols = sorted({size for shape in dims.values() for size in shape if isinstance(size, str)})
    if not symbols:
        pytest.skip("all sizes are fixed")
    feed = {}
    for i, blob in enumerate(case["bottoms"]):
        old = arrays[f"bottom_{i}"]
        growth = [2 + symbols.index(size) if isinstance(size, str) else 0 for size in dims[blob]]
        feed[blob] = np.resize(old, np.add(old.shape, growth))
        net.blobs[blob].reshape(*feed[blob].shape)
        net.blobs[blob].data[...] = feed[blob]
    net.reshape()
    net.forward_layers()
    for runtime, tops in run(model, feed).items():
        for blob, top, value in zip(case["tops"], tops, model.graph.output):
            want = net.blobs[blob].data
            assert top.shape == want.shape
            assert all(isinstance(said, str) or said == size for said, size in zip(shape_of(value), top.shape))
            np.testing.assert_allclose(top, want, rtol=1e-5, atol=1e-5 * np.nanmax(np.abs(want)), err_msg=runtime)


def shape_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_time_and_batch_of_recurrent_layers_are_free() -> None:
    for name in ("lstm", "lstm_static", "rnn_input4d", "rnn_expose"):
        value = to_onnx(layer_net(name)[0]).graph.input[0]
        assert shape_of(value)[:2] == ["T", "N"]


def test_the_state_of_recurrent_layers_begins_at_zero_and_the_model_says_so() -> None:
    hidden, exposed = (to_onnx(layer_net(name)[0]) for name in ("lstm", "lstm_expose"))
    assert [entry.key for entry in hidden.metadata_props] == ["recurrent_state"]
    assert hidden.metadata_props[0].value.startswith("zero at the start of every run")
    assert not exposed.metadata_props


def test_filter_passes_on_as_many_images_as_it_chooses() -> None:
    net, case, arrays = layer_net("filter_two")
    model = to_onnx(net, outputs=case["tops"])
    for count in range(6):
        feed = {blob: arrays[f"bottom_{i}"] for i, blob in enumerate(case["bottoms"])}
        feed["sel"] = (np.arange(5) < count).astype(np.float32).reshape(5, 1, 1, 1)
        for blob, values in feed.items():
            net.blobs[blob].data[...] = values
        net.forward_layers()
        for tops in run(model, feed).values():
            for blob, top in zip(case["tops"], tops):
                assert len(top) == count
                np.testing.assert_allclose(top, net.blobs[blob].data, rtol=1e-6)


def test_every_type_has_a_rule_in_a_golden_case_or_a_reason() -> None:
    exported = {CASES[name]["type"] for name in EXPORTED} | {"Input", "Silence"}
    for name in layer_type_list():
        kind = layer_class(name, "")
        if kind.onnx is Layer.onnx:
            assert name in REFUSED
            assert kind.no_onnx
        else:
            assert name in exported


def test_what_cannot_be_exported_is_an_error_that_names_the_layer() -> None:
    with pytest.raises(CaffeError, match="layer 'L': type SoftmaxWithLoss has no ONNX form: it compares with labels"):
        to_onnx(layer_net("softmaxloss")[0])
