"""The small nets that everybody starts with, from prototxt files and real data sources, in both phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.data.mean import compute_image_mean
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

HERE = Path(__file__).parent
TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
LN10 = math.log(10)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The definitions name their sources relative to the current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def databases(*shape: int, labels: int) -> None:
    """LMDBs ``train_lmdb`` and ``test_lmdb`` of 20 random images each."""
    rng = np.random.default_rng(1)
    for phase in ("train", "test"):
        with create_db(f"{phase}_lmdb", "lmdb") as db:
            for i in range(20):
                datum = caffe_pb2.Datum(channels=shape[0], height=shape[1], width=shape[2], label=i % labels)
                datum.data = rng.integers(0, 256, shape, np.uint8).tobytes()
                db.put(b"%08d" % i, serialize(datum))


def hdf5(name: str, **arrays: np.ndarray) -> None:
    """``name.h5``, and ``name.txt``, the list that HDF5Data reads."""
    with h5py.File(f"{name}.h5", "w") as file:
        for key, value in arrays.items():
            file[key] = value.astype(np.float32)
    Path(f"{name}.txt").write_text(f"{name}.h5\n")


def build(name: str, phase: int = TRAIN, stages: Sequence[str] = ()) -> Net:
    return Net(HERE / f"{name}.prototxt", phase, stages=stages)


def test_lenet(passes: Any) -> None:
    databases(1, 28, 28, labels=10)
    net = build("lenet")
    assert passes(net) == pytest.approx(LN10, rel=0.1)
    assert passes.shapes(net, "data", "conv1", "pool1", "conv2", "pool2", "ip1", "ip2") == {
        "data": (1, 28, 28),
        "conv1": (20, 24, 24),
        "pool1": (20, 12, 12),
        "conv2": (50, 8, 8),
        "pool2": (50, 4, 4),
        "ip1": (500,),
        "ip2": (10,),
    }
    assert net.blobs["data"].shape[0] == 64
    assert passes.parameters(net) == 431_080
    tested = build("lenet", TEST)
    tested.share_with(net)
    tested.forward_layers()
    assert tested.outputs == ["accuracy", "loss"]
    assert tested.blobs["ip2"].shape == (100, 10)
    best = tested.blobs["ip2"].data.argmax(1) == tested.blobs["label"].data
    assert tested.blobs["accuracy"].data == pytest.approx(best.mean())


CIFAR = {
    "data": (3, 32, 32),
    "conv1": (32, 32, 32),
    "pool1": (32, 16, 16),
    "conv2": (32, 16, 16),
    "pool2": (32, 8, 8),
    "conv3": (64, 8, 8),
    "pool3": (64, 4, 4),
}


@pytest.mark.parametrize(
    ("name", "more", "parameters"),
    [
        ("cifar10_quick", {"ip1": (64,), "ip2": (10,)}, 145_578),
        ("cifar10_full", {"norm1": (32, 16, 16), "norm2": (32, 8, 8), "ip1": (10,)}, 89_578),
    ],
)
def test_cifar10(passes: Any, name: str, more: dict[str, Any], parameters: int) -> None:
    databases(3, 32, 32, labels=10)
    compute_image_mean("train_lmdb", "mean.binaryproto")
    net = build(name)
    assert passes(net) == pytest.approx(LN10, abs=1e-3)  # the first weights are so small that all classes are alike
    assert passes.shapes(net, *CIFAR, *more) == CIFAR | more
    assert passes.parameters(net) == parameters
    np.testing.assert_allclose(net.blobs["data"].data.mean(0), 0, atol=1e-4)  # five times the 20 of the mean
    tested = build(name, TEST)
    tested.forward_layers()
    assert tested.blobs["data"].data.mean(0).any()  # other images, the same mean
    assert tested.outputs == ["accuracy", "loss"]


def test_siamese(passes: Any) -> None:
    """Two towers with one set of weights: each image's features are the same in either, gradients add up."""
    databases(2, 28, 28, labels=2)
    net = build("siamese")
    assert passes(net) > 0
    assert passes.shapes(net, "pair_data", "data", "data_p", "pool2_p", "feat", "feat_p") == {
        "pair_data": (2, 28, 28),
        "data": (1, 28, 28),
        "data_p": (1, 28, 28),
        "pool2_p": (50, 4, 4),
        "feat": (2,),
        "feat_p": (2,),
    }
    assert passes.parameters(net) == 431_080 + 22  # one LeNet, and its features
    a, b, similar = (net.blobs[name].data.astype(np.float64) for name in ("feat", "feat_p", "sim"))
    distance = np.sqrt(((a - b) ** 2).sum(1))
    loss = np.where(similar == 1, distance**2, np.maximum(1 - distance, 0) ** 2).mean() / 2
    assert float(net.blobs["loss"].data) == pytest.approx(loss, rel=1e-5)
    towers = [(net.blobs[f"feat{tower}"].diff, net.blobs[f"ip2{tower}"].data) for tower in ("", "_p")]
    both = sum(diff.T @ x for diff, x in towers)
    np.testing.assert_allclose(net.params["feat"][0].diff, both, rtol=1e-4, atol=1e-6 * np.abs(both).max())
    net.blobs["data_p"].data[...] = net.blobs["data"].data
    net.forward_layers(2)
    np.testing.assert_array_equal(net.blobs["feat"].data, net.blobs["feat_p"].data)


def test_autoencoder(passes: Any) -> None:
    databases(1, 28, 28, labels=10)
    net = build("autoencoder")
    assert passes(net) > 0
    assert passes.parameters(net) == 2_837_314
    assert passes.shapes(net, "data", "flatdata", "encode4", "decode1neuron") == {
        "data": (1, 28, 28),
        "flatdata": (784,),
        "encode4": (30,),
        "decode1neuron": (784,),
    }
    assert net.outputs == ["cross_entropy_loss", "l2_error"]
    p, t = (net.blobs[name].data.astype(np.float64) for name in ("decode1", "flatdata"))
    entropy = (np.logaddexp(0, p) - p * t).sum() / 100
    error = ((1 / (1 + np.exp(-p)) - t) ** 2).sum() / 200
    assert float(net.blobs["cross_entropy_loss"].data) == pytest.approx(entropy, rel=1e-5)
    assert float(net.blobs["l2_error"].data) == pytest.approx(error, rel=1e-5)
    for stage in ("test-on-train", "test-on-test"):
        tested = build("autoencoder", TEST, [stage])
        tested.share_with(net)
        tested.forward_layers()
        same = np.array_equal(tested.blobs["data"].data, net.blobs["data"].data)
        assert same == (stage == "test-on-train")


def test_logistic_regression(passes: Any) -> None:
    """Rows of two HDF5 files a phase; the first loss is that of two classes told apart by nothing but chance."""
    rng = np.random.default_rng(2)
    for phase in ("train", "test"):
        data = rng.normal(size=(25, 4))
        hdf5(phase, data=data, label=data[:, 0] > 0)
    net = build("logistic_regression")
    x, w = net.blobs["data"], net.params["fc1"]
    loss = passes(net)
    assert x.shape == (10, 4)
    assert passes.parameters(net) == 10
    scores = x.data.astype(np.float64) @ w[0].data.T + w[1].data
    right = scores[np.arange(10), net.blobs["label"].data.astype(int)]
    assert loss == pytest.approx(float((np.log(np.exp(scores).sum(1)) - right).mean()), rel=1e-5)
    assert build("logistic_regression", TEST).outputs == ["accuracy", "loss"]


def test_captioner(passes: Any) -> None:
    steps, sentences, vocabulary = 20, 2, 8801
    rng = np.random.default_rng(3)
    words = rng.integers(1, vocabulary, (steps, sentences))
    cont = np.ones((steps, sentences))
    cont[0] = 0
    target = np.where(np.arange(steps)[:, None] < 12, words, -1)  # both sentences end after 12 words
    hdf5("sentences", cont_sentence=cont, input_sentence=words, target_sentence=target)
    hdf5("images", image_features=rng.normal(size=(sentences, 1000)))
    net = build("captioner")
    assert passes(net) / 20 == pytest.approx(math.log(vocabulary), rel=0.01)  # loss_weight is 20
    assert {name: net.blobs[name].shape for name in ("embedded_input_sentence", "lstm1", "lstm2", "predict")} == {
        "embedded_input_sentence": (20, 2, 1000),
        "lstm1": (20, 2, 1000),
        "lstm2": (20, 2, 1000),
        "predict": (20, 2, 8801),
    }
    assert [blob.shape for blob in net.params["lstm1"]] == [(4000, 1000), (4000,), (4000, 1000)]
    assert [blob.shape for blob in net.params["lstm2"]] == [(4000, 1000), (4000,), (4000, 1000), (4000, 1000)]
    assert passes.parameters(net) == 37_618_801
    gradient = net.blobs["predict"].grad
    assert gradient[:12].any() and not gradient[12:].any()  # what is ignored teaches nothing
    assert build("captioner", TEST).outputs == ["accuracy", "cross_entropy_loss"]
