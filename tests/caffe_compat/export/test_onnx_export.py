"""What an exported model looks like: names, shapes, metadata, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from caffe_compat.errors import CaffeError
from caffe_compat.export.onnx_export import export_onnx, to_onnx
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

SMALL = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "drop1" type: "Dropout" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "fc2" type: "InnerProduct" bottom: "pool1" top: "fc2"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "fc2b" type: "InnerProduct" bottom: "pool1" top: "fc2b"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc2" top: "prob" }
layer { name: "hush" type: "Silence" bottom: "fc2b" }
"""


def net_of(definition: str, phase: int = caffe_pb2.TEST) -> Net:
    return Net(text.parse(definition, caffe_pb2.NetParameter), phase)


def shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_names_shapes_and_versions() -> None:
    model = to_onnx(net_of(SMALL), {"crop_size": 8, "mean_sha256": None})
    graph = model.graph
    assert [(node.op_type, node.name, list(node.output)) for node in graph.node] == [
        ("Conv", "conv1", ["conv1@conv1"]),
        ("Relu", "relu1", ["conv1@relu1"]),
        ("Identity", "drop1", ["conv1"]),
        ("MaxPool", "pool1", ["pool1"]),
        ("Flatten", "fc2/Flatten", ["fc2/Flatten"]),
        ("Gemm", "fc2", ["fc2"]),
        ("Softmax", "prob", ["prob"]),
    ]
    assert {value.name: shape(value) for value in graph.value_info} == {
        "conv1@conv1": ["N", 4, 6, 6],
        "conv1@relu1": ["N", 4, 6, 6],
        "conv1": ["N", 4, 6, 6],
        "pool1": ["N", 4, 3, 3],
        "fc2": ["N", 5],
    }
    assert [(value.name, shape(value)) for value in graph.input] == [("data", ["N", 3, 8, 8])]
    assert [(value.name, shape(value)) for value in graph.output] == [("prob", ["N", 5])]
    assert [tensor.name for tensor in graph.initializer] == ["conv1/weight", "conv1/bias", "fc2/weight", "fc2/bias"]
    assert (graph.name, model.ir_version, model.opset_import[0].version) == ("small", 8, 17)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"crop_size": "8"}


@pytest.mark.parametrize("batch", [1, 7])
def test_any_batch_size_runs(batch: int) -> None:
    net = net_of(SMALL)
    session = onnxruntime.InferenceSession(to_onnx(net).SerializeToString(), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).normal(size=(batch, 3, 8, 8)).astype(np.float32)
    (got,) = session.run(None, {"data": images})
    net.blobs["data"].reshape(*images.shape)
    net.blobs["data"].data[...] = images
    net.forward_layers()
    np.testing.assert_allclose(got, net.blobs["prob"].data, atol=1e-6)


def test_export_leaves_the_net_as_it_was() -> None:
    net = net_of(SMALL)
    net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    net.forward_layers()
    before = {name: blob.data.copy() for name, blob in net.blobs.items()}
    to_onnx(net)
    for name, blob in net.blobs.items():
        np.testing.assert_array_equal(blob.data, before[name])
    net.forward_layers()
    np.testing.assert_array_equal(net.blobs["prob"].data, before["prob"])


def test_outputs_are_chosen_by_blob() -> None:
    model = to_onnx(net_of(SMALL), outputs=["fc2b", "conv1"])
    assert [value.name for value in model.graph.output] == ["fc2b", "conv1"]
    assert [node.name for node in model.graph.node][-1] == "fc2b"


def test_layers_without_onnx_form_may_lie_off_the_way_to_the_outputs() -> None:
    labelled = SMALL + (
        'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }'
        'layer { name: "accuracy" type: "Accuracy" bottom: "prob" bottom: "label" top: "accuracy" }'
    )
    with pytest.raises(CaffeError, match="layer 'accuracy': type Accuracy has no ONNX form"):
        to_onnx(net_of(labelled))
    model = to_onnx(net_of(labelled), outputs=["prob"])
    assert [value.name for value in model.graph.input] == ["data"]


def test_an_input_keeps_its_name_when_overwritten() -> None:
    definition = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "r" type: "ReLU" bottom: "x" top: "x" }'
    )
    model = to_onnx(net_of(definition))
    assert ([v.name for v in model.graph.input], [v.name for v in model.graph.output]) == (["x"], ["x@r"])


def test_a_layer_that_fixes_the_batch_keeps_it_out_of_the_model() -> None:
    definition = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 4 axis: 0 } }'
    )
    model = to_onnx(net_of(definition))
    assert (shape(model.graph.input[0]), shape(model.graph.output[0])) == ([2, 3], [4])


def test_shared_parameters_are_stored_once() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    definition = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 } } }'
    for layer, bottom, top in (("one", "x", "y"), ("two", "y", "z")):
        definition += (
            f'layer {{ name: "{layer}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {shared} '
            'inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }'
        )
    model = to_onnx(net_of(definition))
    assert [tensor.name for tensor in model.graph.initializer] == ["one/weight", "one/bias"]
    assert model.graph.node[0].input[1:] == model.graph.node[1].input[1:]


sides = st.tuples(st.integers(1, 14), st.integers(1, 5), st.integers(1, 5), st.integers(0, 4))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["MAX", "AVE"]), st.sampled_from(["CEIL", "FLOOR"]), sides, sides)
@example("MAX", "CEIL", (55, 3, 2, 0), (13, 3, 2, 0))
@example("AVE", "CEIL", (8, 2, 2, 1), (7, 3, 2, 1))  # a last window that begins in the padding is clipped
@example("AVE", "CEIL", (9, 2, 3, 0), (9, 2, 3, 0))  # an empty window
@example("MAX", "CEIL", (9, 2, 3, 0), (9, 2, 3, 0))
def test_pooling_windows_are_caffes(
    pool: str, mode: str, height: tuple[int, int, int, int], width: tuple[int, int, int, int]
) -> None:
    """Sides: size, kernel, stride, pad."""
    (h, *window_h), (w, *window_w) = height, width
    names = ("kernel", "stride", "pad")
    fields = [f"{n}_h: {a} {n}_w: {b}" for n, a, b in zip(names, window_h, window_w)]
    definition = (
        f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 dim: {h} dim: {w} }} }} }}'
        'layer { name: "p" type: "Pooling" bottom: "x" top: "p" '
        f"pooling_param {{ pool: {pool} round_mode: {mode} {' '.join(fields)} }} }}"
    )
    try:
        net = net_of(definition)
    except CaffeError:
        assume(False)  # such as a pad that is not smaller than the kernel
    net.blobs["x"].data[...] = np.random.default_rng(0).normal(-3, 1, (2, 3, h, w))
    net.forward_layers()
    session = onnxruntime.InferenceSession(to_onnx(net).SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": net.blobs["x"].data})
    np.testing.assert_allclose(got, net.blobs["p"].data, rtol=1e-6, atol=1e-6)


def test_file_is_whole_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "small.onnx"
    model = export_onnx(net_of(SMALL), path)
    assert onnx.load(path) == model
    with pytest.raises(CaffeError, match="phase TRAIN"):
        export_onnx(net_of(SMALL, caffe_pb2.TRAIN), tmp_path / "other.onnx")
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["new", "small.onnx"]


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(CaffeError, match="no blob 'probs' to give out; did you mean prob"):
        to_onnx(net_of(SMALL), outputs=["probs"])
    with pytest.raises(CaffeError, match="no blob 'data' to give out"):
        to_onnx(net_of(SMALL), outputs=["data"])
    with pytest.raises(CaffeError, match="input 'x' of net 'shapeless' has no shape"):
        to_onnx(net_of('name: "shapeless" layer { name: "x" type: "Input" top: "x" }'))
    with pytest.raises(CaffeError, match="net 'idle' has no outputs"):
        shape = "input_param { shape { dim: 1 } }"
        to_onnx(net_of(f'name: "idle" layer {{ name: "x" type: "Input" top: "x" {shape} }}'))
