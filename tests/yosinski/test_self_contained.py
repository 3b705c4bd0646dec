"""Models that bring their preprocessing along, and models in half precision, on a net for colour images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from yosinski.export import Exported, export_run
from yosinski.images import Images
from yosinski.verify import verify
from yosinski.verify_report import VerifyReport

NET = """
name: "colours"
layer {{ name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "{db}" batch_size: 4 backend: LMDB }}
  transform_param {{ {transform} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {{ num_output: 6 kernel_size: 5
  stride: 2 weight_filler {{ type: "gaussian" std: 0.03 }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" }}
layer {{ name: "fc2" type: "InnerProduct" bottom: "norm1" top: "fc2"
  inner_product_param {{ num_output: 7 weight_filler {{ type: "gaussian" std: 0.01 }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" }}
"""
TRANSFORMS = {
    "mean_file": 'crop_size: 13 mean_file: "{mean}" scale: 0.5',
    "mean_value": "crop_size: 13 mean_value: 104 mean_value: 117 mean_value: 123",
    "one_mean_value": "crop_size: 14 mean_value: 110 scale: 0.00390625",
    "crop_only": "crop_size: 16",
    "nothing": "scale: 0.1",
}


@dataclass(frozen=True)
class Colours:
    """A net, its weights, and images of 16 x 18 pixels, bluish ones and reddish ones."""

    net: Path
    weights: Path
    db: Path
    mean: Path


@pytest.fixture(scope="module", params=TRANSFORMS)
def colours(request, tmp_path_factory: pytest.TempPathFactory) -> Colours:
    from caffe_compat import rng
    from caffe_compat.data.datum import serialize
    from caffe_compat.data.db import create_db
    from caffe_compat.data.mean import compute_image_mean
    from caffe_compat.net import Net
    from caffe_compat.weights import save

    folder = tmp_path_factory.mktemp("colours")
    made = Colours(folder / "net.prototxt", folder / "c_iter_5.caffemodel", folder / "db", folder / "mean.binaryproto")
    random = np.random.default_rng(3)
    with create_db(made.db, "lmdb") as db:
        for i in range(20):
            pixels = random.integers(0, 256, (3, 16, 18), np.uint8)
            pixels[0 if i % 2 else 2] //= 5
            datum = caffe_pb2.Datum(channels=3, height=16, width=18, label=i % 7, data=pixels.tobytes())
            db.put(f"{i:08d}".encode(), serialize(datum))
    compute_image_mean(made.db, made.mean)
    transform = TRANSFORMS[request.param].format(mean=made.mean)
    made.net.write_text(NET.format(db=made.db, transform=transform))
    rng.set_random_seed(4)
    save(Net(made.net, caffe_pb2.TEST), made.weights)
    return made


@pytest.fixture
def exported(colours: Colours, tmp_path: Path) -> Exported:
    return export_run(colours.net, str(colours.weights), out=tmp_path, with_preprocessing=True)


def check(colours: Colours, model: Path, **options) -> VerifyReport:
    given = {"runtimes": ("torch", "onnxruntime", "onnx", "openvino"), "per_layer": True, **options}
    return verify(model, colours.db, prototxt=colours.net, weights=[colours.weights], **given)


def props(model: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(model).metadata_props}


def test_stored_images_go_in(colours: Colours, exported: Exported) -> None:
    model = onnx.load(exported.onnx)
    (value,) = model.graph.input
    dims = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
    assert (value.name, value.type.tensor_type.elem_type, dims) == ("data", onnx.TensorProto.UINT8, ["N", 3, 16, 18])
    found = props(exported.onnx)
    assert (found["preprocessing"], found["image_size"], found["channel_order"]) == ("in the model", "16x18", "BGR")
    report = check(colours, exported.onnx)
    assert report.ok, report.verdict
    assert report.layers[0].layer == "transform"
    assert report.layers[0].max_delta <= 1e-6 * report.layers[0].scale


def test_a_wrong_mean_in_the_model_is_caught(colours: Colours, exported: Exported, tmp_path: Path) -> None:
    model = onnx.load(exported.onnx)
    means = [tensor for tensor in model.graph.initializer if tensor.name == "transform/mean"]
    if not means:
        pytest.skip("no mean")
    means[0].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(means[0]) + np.float32(1), means[0].name))
    onnx.save(model, tmp_path / "wrong.onnx")
    report = check(colours, tmp_path / "wrong.onnx")
    assert not report.ok
    assert report.comparisons["onnxruntime"].max_delta > 1e-5
    assert report.first_layer.layer == "transform"
    assert report.departures[0].startswith("layer transform: mean differs from its sources in ")


def test_swapped_channels_are_caught_by_the_numbers(colours: Colours, exported: Exported, tmp_path: Path) -> None:
    model = onnx.load(exported.onnx)
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "conv1/weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[:, ::-1].copy(), weight.name))
    onnx.save(model, tmp_path / "rgb.onnx")
    report = check(colours, tmp_path / "rgb.onnx")
    assert not report.ok
    assert report.comparisons["onnxruntime"].max_delta > 1e-5
    assert report.first_layer.layer == "conv1"


def test_swapped_channels_are_caught_by_the_metadata(colours: Colours, exported: Exported, tmp_path: Path) -> None:
    model = onnx.load(exported.onnx)
    (order,) = (entry for entry in model.metadata_props if entry.key == "channel_order")
    order.value = "RGB"
    onnx.save(model, tmp_path / "rgb.onnx")
    report = check(colours, tmp_path / "rgb.onnx")
    assert not report.ok
    assert report.verdict == "metadata: channel_order is RGB, its sources give BGR"


@pytest.mark.parametrize("with_preprocessing", [False, True])
def test_half_precision_is_measured(colours: Colours, tmp_path: Path, with_preprocessing: bool) -> None:
    options = {"precision": "fp16", "with_preprocessing": with_preprocessing}
    done = export_run(colours.net, str(colours.weights), out=tmp_path / "half.onnx", db=colours.db, **options)
    assert done.precision.bytes[1] < 0.8 * done.precision.bytes[0]
    found = props(done.onnx)
    assert found["precision"] == "float16"
    assert found["float16_measured_on"] == "20 images, database db"
    assert found["float16_max_delta"] == f"{done.precision.max_delta:.3g}"
    assert 0 < done.precision.max_delta < 5e-3
    assert done.precision.top1 == (float(found["float32_top1"]), float(found["float16_top1"]))
    assert done.precision.text.startswith("float16 on 20 images (database db): top-1 ")
    report = check(colours, done.onnx, runtimes=("torch", "onnxruntime"))
    assert report.ok, report.verdict
    assert report.tolerance == 2e-2
    assert report.comparisons["onnxruntime"].max_delta == pytest.approx(done.precision.max_delta, abs=1e-4)


def test_half_precision_without_a_database_is_measured_on_random_pixels(colours: Colours, tmp_path: Path) -> None:
    done = export_run(colours.net, str(colours.weights), out=tmp_path / "half.onnx", precision="fp16")
    assert props(done.onnx)["float16_measured_on"] == "64 images, random pixels"
    assert done.precision.top1 is None
    assert "float16_top1" not in props(done.onnx)
    session = onnxruntime.InferenceSession(done.onnx, providers=["CPUExecutionProvider"])
    assert [value.type for value in [*session.get_inputs(), *session.get_outputs()]] == ["tensor(float)"] * 2


def test_images_are_read_as_stored_and_transformed(colours: Colours) -> None:
    transform = caffe_pb2.TransformationParameter(crop_size=10, mean_value=[5])
    with Images(colours.db, transform, 8, 11, pixels=True) as images:
        assert (images.count, images.shape, images.stored_shape) == (11, (3, 10, 10), (3, 16, 18))
        batches = list(images)
    assert [len(batch.labels) for batch in batches] == [8, 3]
    assert (batches[1].labels == np.arange(8, 11) % 7).all()
    for batch in batches:
        np.testing.assert_array_equal(batch.pixels[:, :, 3:13, 4:14] - np.float32(5), batch.data)


def test_errors_are_one_line(colours: Colours, tmp_path: Path) -> None:
    deploy = export_run(colours.net, str(colours.weights), out=tmp_path).deploy
    with pytest.raises(CaffeError, match=r"neither a mean file nor a database tells .*; --image-size does"):
        export_run(deploy, str(colours.weights), out=tmp_path / "no.onnx", with_preprocessing=True)
    with pytest.raises(CaffeError, match=r"crop_size: .* is larger than the image|the net takes"):
        options = {"with_preprocessing": True, "image_size": (9, 9)}
        export_run(deploy, str(colours.weights), out=tmp_path / "no.onnx", **options)
    with pytest.raises(CaffeError, match="no such database"):
        export_run(colours.net, str(colours.weights), out=tmp_path / "no.onnx", precision="fp16", db=tmp_path / "nix")
    assert not (tmp_path / "no.onnx").exists()
