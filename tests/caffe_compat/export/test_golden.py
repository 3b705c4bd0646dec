"""Exported layers and nets in ONNX Runtime and in onnx's own evaluator, against what BVLC Caffe 1.0 computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from caffe_compat.errors import CaffeError
from caffe_compat.export.onnx_export import to_onnx
from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import layer_class, layer_type_list
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "layers" / "index.json").read_text())["cases"]}
NETS = {case["name"]: case for case in json.loads((GOLDEN / "nets" / "index.json").read_text())["cases"]}
TYPES = (
    "Concat",
    "Convolution",
    "Deconvolution",
    "Dropout",
    "InnerProduct",
    "LRN",
    "Pooling",
    "ReLU",
    "Softmax",
    "Split",
)
REFUSED = {"pool_max_mask": "the second top of MAX pooling, the indices of the winners, has no ONNX form"}
NOT_IN_REFERENCE = ("deconv_group2",)  # onnx.reference cuts the weights of a ConvTranspose with groups the wrong way
EXPORTED = [name for name, case in CASES.items() if case["type"] in TYPES and name not in REFUSED]


class LRN(OpRun):
    """The operator as ONNX specifies it. The evaluator's own loops over as many channels as there are images."""

    def _run(self, x: np.ndarray, alpha: float, beta: float, bias: float, size: int) -> tuple[np.ndarray]:
        padded = np.pad(x**2, [(0, 0), (size // 2, size // 2), (0, 0), (0, 0)])
        total = sum(padded[:, i : i + x.shape[1]] for i in range(size))
        return (x / (bias + np.float32(alpha / size) * total) ** np.float32(beta),)


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray], reference: bool = True) -> dict[str, list[np.ndarray]]:
    """The model's outputs, by runtime."""
    feed = {value.name: feed[value.name] for value in model.graph.input}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = {"onnxruntime": session.run(None, feed)}
    if reference:
        with np.errstate(invalid="ignore"):  # Caffe's empty AVE window is 0 / 0
            found["onnx.reference"] = ReferenceEvaluator(model, new_ops=[LRN]).run(None, feed)
    return found


def assert_close(what: str, got: np.ndarray, want: np.ndarray, noise: dict[str, float]) -> None:
    """Within 1e-5 of the array's largest value, or 20 times what Caffe itself moves with another BLAS kernel."""
    assert got.shape == want.shape, what
    ordinary = np.abs(want) < 1e30
    scale = np.abs(want[ordinary]).max(initial=0.0)
    tolerance = max(1e-5 * scale, 20 * min(noise["max_abs"], noise["max_rel_to_array_max"] * scale))
    with np.errstate(invalid="ignore"):
        near = np.abs(got.astype(np.float64) - want) <= tolerance
    right = np.where(ordinary, near, (got == want) | (np.isnan(got) & np.isnan(want)))
    assert right.all(), f"{what}: {np.count_nonzero(~right)} of {right.size} differ"


def layer_net(name: str) -> tuple[Net, dict[str, Any], dict[str, np.ndarray]]:
    """The case's net with its parameters, the case, and its arrays."""
    case, net = CASES[name], Net(GOLDEN / "layers" / f"{name}.prototxt", caffe_pb2.TEST)
    with np.load(GOLDEN / "layers" / f"{name}.npz") as file:
        arrays = dict(file)
    for i, (layer, index) in enumerate(case["params"]):
        net.params[layer][index].data[...] = arrays[f"param_{i}"]
    return net, case, arrays


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_layer_computes_what_caffe_computes(name: str) -> None:
    net, case, arrays = layer_net(name)
    model = to_onnx(net, outputs=case["tops"])
    feed = {blob: arrays[f"bottom_{i}"] for i, blob in enumerate(case["bottoms"])}
    for runtime, tops in run(model, feed, reference=name not in NOT_IN_REFERENCE).items():
        for i, top in enumerate(tops):
            assert_close(f"{runtime}, top {i}", top, arrays[f"top_{i}"], case["noise"])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_an_error_that_names_the_layer(name: str) -> None:
    with pytest.raises(CaffeError, match=f"layer 'L': {REFUSED[name]}"):
        to_onnx(layer_net(name)[0])


@pytest.mark.parametrize(
    ("case_name", "outputs"),
    [("lenet/train_test", ["ip2"]), ("caffenet/deploy_test", None), ("alexnet/deploy_test", None)],
)
def test_exported_net_computes_caffes_blobs(case_name: str, outputs: list[str] | None) -> None:
    case = NETS[case_name]
    folder = GOLDEN / "nets" / case["dir"]
    net = Net(folder / case["prototxt"], caffe_pb2.TEST, weights=folder / "weights.caffemodel")
    with np.load(GOLDEN / "nets" / case["npz"]) as file:
        arrays = dict(file)
    feed = {name: arrays[f"in|{name}"] for name in net.inputs}
    model = to_onnx(net, outputs=outputs)
    last = model.graph.output[0].name
    for runtime, (top,) in run(model, feed).items():
        assert_close(f"{runtime}, {last}", top, arrays[f"blob|{last}"], case["noise"])
    every = [name for name in net.blobs if "_split_" not in name and name not in net.inputs]
    every = [name for name in every if name not in ("loss", "accuracy")]
    for runtime, tops in run(to_onnx(net, outputs=every), feed).items():
        for name, top in zip(every, tops):
            assert_close(f"{runtime}, {name}", top, arrays[f"blob|{name}"], case["noise"])


def test_every_layer_with_a_rule_is_in_a_golden_case() -> None:
    with_rule = {name for name in layer_type_list() if layer_class(name, "").onnx is not Layer.onnx}
    assert with_rule == set(TYPES)
