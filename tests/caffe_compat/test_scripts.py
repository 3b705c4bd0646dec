"""Scripts as pycaffe's users write them, run by ``python -m caffe_compat``, each as a process of its own."""

# ruff: noqa: C408 - nets in Python are written with dict(name=value)

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import caffe_compat as caffe
from caffe_compat import NetSpec
from caffe_compat import layers as L

SCRIPTS = Path(__file__).with_name("scripts")
ROOT = str(Path(caffe.__file__).parents[1])


def run(script: str, *arguments: object, cwd: Path) -> str:
    command = [sys.executable, "-m", "caffe_compat", str(SCRIPTS / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env={"PYTHONPATH": ROOT}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def classifier(tmp_path: Path) -> caffe.Net:
    """A small classifier of images of 16 by 16 pixels, and its files deploy.prototxt and w.caffemodel."""
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 16, 16]))
    n.conv1 = L.Convolution(n.data, num_output=8, kernel_size=5, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(L.ReLU(n.conv1, in_place=True), kernel_size=2, stride=2)
    n.fc6 = L.InnerProduct(n.pool1, num_output=10, weight_filler=dict(type="xavier"), bias_filler=dict(value=0.1))
    n.fc7 = L.InnerProduct(n.fc6, num_output=4, weight_filler=dict(type="xavier"))
    n.prob = L.Softmax(n.fc7)
    (tmp_path / "deploy.prototxt").write_text(str(n.to_proto()))
    caffe.set_random_seed(1)
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.save(str(tmp_path / "w.caffemodel"))
    return net


@pytest.mark.usefixtures("classifier")
def test_net_surgery(tmp_path: Path) -> None:
    conv = (tmp_path / "deploy.prototxt").read_text()
    conv = conv.replace("dim: 16", "dim: 24").replace('"InnerProduct"', '"Convolution"')
    conv = conv.replace("inner_product_param {", "convolution_param { kernel_size: 6", 1)
    conv = conv.replace("inner_product_param {", "convolution_param { kernel_size: 1", 1)
    (tmp_path / "conv.prototxt").write_text(conv.replace('"fc6"', '"fc6-conv"').replace('"fc7"', '"fc7-conv"'))
    out = run("net_surgery.py", "deploy.prototxt", "conv.prototxt", "w.caffemodel", "conv.caffemodel", cwd=tmp_path)
    assert out.splitlines() == [
        "fc6 weights are (10, 288) dimensional and biases are (10,) dimensional",
        "fc7 weights are (4, 10) dimensional and biases are (4,) dimensional",
        "fc6-conv weights are (10, 8, 6, 6) dimensional",
        "fc7-conv weights are (4, 10, 1, 1) dimensional",
        "map (5, 5)",
    ]
    assert (tmp_path / "conv.caffemodel").stat().st_size > 0


def test_filters(classifier: caffe.Net, tmp_path: Path) -> None:
    out = run("filters.py", "deploy.prototxt", "w.caffemodel", "filters.npy", cwd=tmp_path)
    assert out.splitlines()[0] == "conv1\t(8, 3, 5, 5) (8,)"
    assert "pool1\t(1, 8, 6, 6)" in out
    picture = np.load(tmp_path / "filters.npy")
    weights = classifier.params["conv1"][0].data
    weights = (weights - weights.min()) / (weights.max() - weights.min())
    assert picture.shape == (18, 18, 3)
    np.testing.assert_allclose(picture[6:11, 12:17], weights[5].transpose(1, 2, 0), rtol=1e-5)
    assert not picture[12:, 12:].any()  # there are 8 filters for 9 places


def test_a_solver_loop_by_hand(tmp_path: Path) -> None:
    out = run("solve_by_hand.py", cwd=tmp_path)
    assert len(out.splitlines()) == 3
    assert out.startswith("Iteration 19 loss ")


def test_features_of_images(classifier: caffe.Net, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(2, 16, 16, 3), dtype=np.uint8)
    for i, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    mean = rng.random((1, 3, 16, 16)) * 255
    (tmp_path / "mean.binaryproto").write_bytes(caffe.io.array_to_blobproto(mean).SerializeToString())
    run("features.py", "deploy.prototxt", "w.caffemodel", "mean.binaryproto", "f.npy", "0.png", "1.png", cwd=tmp_path)
    data = images.transpose(0, 3, 1, 2) - mean.mean((2, 3))[:, :, None, None]
    want = classifier.forward_all(data=data, blobs=["fc6"])["fc6"]
    np.testing.assert_allclose(np.load(tmp_path / "f.npy"), want, rtol=1e-3, atol=1e-3)


def test_python_layers(tmp_path: Path) -> None:
    assert run("python_layers.py", cwd=tmp_path).splitlines() == ["[[2. 2. 2.]]"]


@pytest.mark.usefixtures("classifier")
def test_a_dream(tmp_path: Path) -> None:
    run("dream.py", "deploy.prototxt", "w.caffemodel", "conv1", "dream.npy", cwd=tmp_path)
    assert np.load(tmp_path / "dream.npy").shape == (24, 24, 3)
