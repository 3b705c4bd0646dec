"""Coloured images: runtimes decode them alike, and what mistakes blue for red is caught."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from caffe_compat import rng
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import save
from yosinski.export import export_run
from yosinski.verify import verify
from yosinski.verify_report import VerifyReport

NET = """
name: "colours"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  data_param {{ source: "{db}" batch_size: 4 backend: LMDB }}
  transform_param {{ crop_size: 6 scale: 0.01 mean_value: 90 {color} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {{ num_output: 4 kernel_size: 3
  weight_filler {{ type: "xavier" }} bias_filler {{ type: "uniform" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "fc2" type: "InnerProduct" bottom: "conv1" top: "fc2" inner_product_param {{ num_output: 5
  weight_filler {{ type: "gaussian" std: 0.5 }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }}
"""


def database(path: Path, grey: bool) -> Path:
    """Ten PNG files, all grey or all coloured."""
    random = np.random.default_rng(0)
    with create_db(path, "lmdb") as db:
        for i in range(10):
            pixels = random.integers(0, 256, (8, 9) if grey else (8, 9, 3), np.uint8)
            file = cv2.imencode(".png", pixels)[1].tobytes()
            db.put(f"{i:08d}".encode(), serialize(caffe_pb2.Datum(data=file, encoded=True, label=i % 5)))
    return path


def trained(folder: Path, db: Path, color: str = "") -> tuple[Path, Path]:
    """A definition and its weights."""
    net, weights = folder / "net.prototxt", folder / "net.caffemodel"
    net.write_text(NET.format(db=db, color=color))
    rng.set_random_seed(3)
    save(Net(net, caffe_pb2.TEST), weights)
    return net, weights


def check(model: Path, db: Path, net: Path, weights: Path) -> VerifyReport:
    """What torch, ONNX Runtime and the C++ checker say."""
    runtimes = ("torch", "onnxruntime", "onnx_check")
    report = verify(model, db, prototxt=net, weights=[weights], runtimes=runtimes, batch=4, per_layer=True)
    if "onnx_check" in report.unavailable:
        pytest.skip(report.unavailable["onnx_check"])
    return report


@pytest.mark.parametrize("in_model", [False, True])
@pytest.mark.parametrize(("grey", "color"), [(True, "force_color: true"), (False, "force_gray: true"), (False, "")])
def test_the_transforms_colours_hold_in_every_runtime(tmp_path: Path, grey: bool, color: str, in_model: bool) -> None:
    db = database(tmp_path / "db", grey)
    net, weights = trained(tmp_path, db, color)
    report = check(export_run(net, str(weights), with_preprocessing=in_model).onnx, db, net, weights)
    assert report.ok, report.verdict
    assert report.comparisons["onnx_check"].max_delta <= 1e-6
    assert np.ptp(report.answers["torch"].scores, axis=0).min() > 0.01  # the images matter


def test_swapped_channels_are_caught_and_their_layer_named(tmp_path: Path) -> None:
    db = database(tmp_path / "db", grey=False)
    net, weights = trained(tmp_path, db)
    exported = export_run(net, str(weights)).onnx
    model = onnx.load(exported)
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "conv1/weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[:, ::-1].copy(), weight.name))
    onnx.save(model, exported)
    report = check(exported, db, net, weights)
    assert not report.ok
    assert report.first_layer is not None and report.first_layer.layer == "conv1"
    assert min(comparison.max_delta for comparison in report.comparisons.values()) > 0.01
    assert report.departures[0].startswith("layer conv1: weight differs from its sources in 72 of 108 values")


def test_a_model_that_says_rgb_is_not_fed_with_bgr(tmp_path: Path) -> None:
    db = database(tmp_path / "db", grey=False)
    net, weights = trained(tmp_path, db)
    exported = export_run(net, str(weights)).onnx
    model = onnx.load(exported)
    (order,) = (entry for entry in model.metadata_props if entry.key == "channel_order")
    order.value = "RGB"
    onnx.save(model, exported)
    report = check(exported, db, net, weights)
    assert not report.ok
    assert 'channel_order = "RGB", expected BGR, as Caffe\'s databases are' in report.failures["onnx_check"]
    assert report.departures == ["metadata: channel_order is RGB, its sources give BGR"]
