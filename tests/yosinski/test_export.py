"""Exported files of a run: where they are, what they say, and that OpenCV reads the deploy definition."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from caffe_compat.data.db import open_db
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, read_net, text
from yosinski.export import export_run
from yosinski.net_names import parse_name
from yosinski.verify_model import verify_model


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_directory_exports_itself(mini_run) -> None:
    done = export_run(mini_run.folder)
    assert done.onnx == mini_run.folder / "mini_iter_20.onnx"
    assert done.deploy == mini_run.folder / "deploy.prototxt"
    model = onnx.load(done.onnx)
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "net": "transfer_A3B",
        "phase": "TEST",
        "prototxt_sha256": sha256(mini_run.net),
        "weights_sha256": sha256(mini_run.weights),
        "iteration": "20",
        "precision": "float32",
        "layout": "NCHW",
        "channel_order": "GRAY",
        "pixel_range": "0..255",
        "preprocessing": "outside the model",
        "crop_size": "24",
        "scale": "1.0",
        "mean_sha256": sha256(mini_run.mean),
        "run": "mini",
        "run_seed": "1",
        "solver_sha256": "0" * 64,
    }
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["N", 1, 24, 24]


def test_the_deploy_definition_is_the_generators_own(mini_run, tmp_path: Path) -> None:
    made = read_net(export_run(mini_run.folder, out=tmp_path).deploy)
    want = text.parse(parse_name("transfer_A3B").deploy("mini"), caffe_pb2.NetParameter)
    assert text.format(made) == text.format(want)


def test_files_go_where_they_are_wanted(mini_run, tmp_path: Path) -> None:
    done = export_run(mini_run.net, str(mini_run.weights), out=tmp_path / "new" / "x.onnx")
    assert (done.onnx, done.deploy) == (tmp_path / "new" / "x.onnx", tmp_path / "new" / "x_deploy.prototxt")
    again = export_run(done.deploy, str(mini_run.weights), out=tmp_path)
    assert (again.onnx, again.deploy) == (tmp_path / "mini_iter_20.onnx", done.deploy)
    assert onnx.load(again.onnx).graph == onnx.load(done.onnx).graph


def test_opencv_reads_what_we_write(mini_run, tmp_path: Path) -> None:
    done = export_run(mini_run.folder, out=tmp_path)
    images = np.random.default_rng(0).normal(0, 60, (4, 1, 24, 24)).astype(np.float32)
    theirs = cv2.dnn.readNetFromCaffe(str(done.deploy), str(mini_run.weights))
    theirs.setInput(images, "data")
    ours = Net(done.deploy, caffe_pb2.TEST, weights=mini_run.weights)
    ours.blobs["data"].reshape(*images.shape)
    ours.blobs["data"].data[...] = images
    ours.forward_layers()
    assert np.ptp(ours.blobs["prob"].data) > 0.1
    np.testing.assert_allclose(theirs.forward("prob"), ours.blobs["prob"].data, atol=1e-4)


def test_without_a_mean_the_database_tells_the_shape(mini_run, tmp_path: Path) -> None:
    net = read_net(mini_run.net)
    for layer in net.layer[:2]:
        layer.transform_param.ClearField("mean_file")
        layer.transform_param.mean_value.append(0.1)
    source = tmp_path / "net.prototxt"
    source.write_text(text.format(net))
    model = onnx.load(export_run(source, str(mini_run.weights), out=tmp_path).onnx)
    props = {entry.key: entry.value for entry in model.metadata_props}
    assert np.float32(props["mean_value"]) == np.float32(0.1)
    assert "mean_sha256" not in props
    with open_db(mini_run.db) as db:
        assert len(db) == mini_run.images


def test_of_a_definition_with_stages_one_says_which_layers_are_meant(mini_run, tmp_path: Path) -> None:
    """One file for all: images from a database in stage "val", from outside and without a loss in stage "deploy"."""
    net = read_net(mini_run.net)
    shape = Net(mini_run.net, caffe_pb2.TEST).blobs["data"].shape
    for layer in net.layer:
        if layer.include:
            del layer.include[1:]
            layer.include[0].stage.append("train" if layer.include[0].phase == caffe_pb2.TRAIN else "val")
        elif layer.type == "SoftmaxWithLoss":
            layer.exclude.add(stage=["deploy"])
    inlet = caffe_pb2.LayerParameter(name="inlet", type="Input", top=["data"])
    inlet.input_param.shape.add(dim=[1, *shape[1:]])
    inlet.include.add(stage=["deploy"], min_level=1)
    net.layer.insert(0, inlet)
    source, weights = tmp_path / "all.prototxt", str(mini_run.weights)
    source.write_text(text.format(net))
    with pytest.raises(
        CaffeError, match=r"all\.prototxt: no layer brings data in phase TEST at level 0 without a stage; "
    ):
        export_run(source, weights, out=tmp_path)
    with pytest.raises(CaffeError, match="no layer brings data in phase TEST at level 0 with stage deploy; "):
        export_run(source, weights, out=tmp_path, stage=["deploy"])
    deploy = export_run(source, weights, out=tmp_path / "deploy.onnx", stage=["deploy"], level=1)
    val = export_run(source, weights, out=tmp_path / "val.onnx", stage=["val"])
    assert (deploy.deploy, val.deploy) == (source, tmp_path / "val_deploy.prototxt")
    images = np.random.default_rng(0).random((2, *shape[1:]), np.float32)
    scores, probabilities = (
        onnxruntime.InferenceSession(done.onnx).run(None, {"data": images})[0] for done in (deploy, val)
    )
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(1, keepdims=True), probabilities, rtol=1e-5)
    assert verify_model(source, weights, stage=["val"], runtimes=["torch", "onnxruntime"], limit=4).ok


def test_errors_are_one_line(mini_run, tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="no weights to export; --weights names them"):
        export_run(mini_run.net)
    with pytest.raises(CaffeError, match="nowhere: neither a run directory nor a definition"):
        export_run(tmp_path / "nowhere")
    with pytest.raises(CaffeError, match=r"gone\.binaryproto: no such mean file; --mean says"):
        export_run(mini_run.folder, mean=tmp_path / "gone.binaryproto")
    other = tmp_path / "other.caffemodel"
    shutil.copy(mini_run.weights, other)
    with pytest.raises(CaffeError, match=r"other\.caffemodel: no values for layers conv1_new, fc6-new_x of "):
        definition = mini_run.net.read_text().replace('name: "conv1"', 'name: "conv1_new"')
        renamed = tmp_path / "renamed.prototxt"
        renamed.write_text(definition.replace('name: "fc6-new"', 'name: "fc6-new_x"'))
        export_run(renamed, str(other))
    with pytest.raises(CaffeError, match=r"renamed\.prototxt:\d+: Unknown bottom blob 'nothing' \(layer 'relu1'"):
        renamed.write_text(definition.replace('name: "relu1"', 'name: "relu1" bottom: "nothing"'))
        export_run(renamed, str(other))
    assert not list(tmp_path.glob("*.onnx"))
