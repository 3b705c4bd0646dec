"""Caffe's tools as commands of the program."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import Result

from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.data.mean import read_mean
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import binary, caffe_pb2, read_solver, text
from caffe_compat.tools import extract_features

Run = Callable[..., Result]
MODEL, WEIGHTS = "logs/net.prototxt", "logs/lognet_iter_40.caffemodel"


def messages(result: Result) -> list[str]:
    """The log lines, from the place in Caffe's sources on, but for those of nets that other tests have left reading."""
    lines = [re.sub(r"^(.)\S+ \S+ +\d+ ", r"\1 ", line) for line in result.stderr.splitlines()]
    return [line for line in lines if "data_layer.cpp" not in line]


# Upgrades


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_binary_models_become_what_caffe_makes_of_them(version: str, golden: Path, tmp_path: Path, run: Run) -> None:
    folder, out = golden / "upgrade/binary", tmp_path / "new.caffemodel"
    result = run("upgrade_net_proto_binary", str(folder / f"{version}.caffemodel"), str(out))
    assert result.exit_code == 0
    assert out.read_bytes() == (folder / f"{version}_upgraded.caffemodel").read_bytes()
    assert (
        messages(result)[-1] == f"I upgrade_net_proto_binary.cpp:48] Wrote upgraded NetParameter binary proto to {out}"
    )
    saved = np.load(folder / f"{version}.npz", allow_pickle=False)
    net = Net(folder / "net.prototxt", caffe_pb2.TEST, weights=out)
    for layer, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            np.testing.assert_array_equal(blob.data, saved[f"upgraded|{layer}|{i}"])
    net.blobs["data"].data[...] = saved["data"]
    net.forward_layers()
    np.testing.assert_allclose(net.blobs["ip"].data, saved["upgraded|ip"], rtol=1e-5, atol=1e-6)


def test_the_tools_name_says_the_form_not_the_files(golden: Path, tmp_path: Path, run: Run) -> None:
    model = tmp_path / "model"
    model.write_bytes((golden / "upgrade/binary/v1.caffemodel").read_bytes())
    assert run("upgrade_net_proto_binary", str(model), str(tmp_path / "out")).exit_code == 0
    assert binary.read(tmp_path / "out", caffe_pb2.NetParameter).layer
    definition = tmp_path / "net.binaryproto"
    definition.write_text("layers { type: RELU name: 'r' }")
    assert run("upgrade_net_proto_text", str(definition), str(tmp_path / "out")).exit_code == 0
    assert text.read(tmp_path / "out", caffe_pb2.NetParameter).layer[0].type == "ReLU"


def test_solvers_and_losses_of_an_upgrade(golden: Path, tmp_path: Path, run: Run) -> None:
    cases, out = golden / "upgrade/cases", tmp_path / "out"
    assert run("upgrade_solver_proto_text", str(cases / "solver_adam.in.prototxt"), str(out)).exit_code == 0
    assert read_solver(out).type == "Adam"
    result = run("upgrade_net_proto_text", str(cases / "v0_unknown_param.in.prototxt"), str(out))
    assert result.exit_code == 1 and out.read_bytes() == (cases / "v0_unknown_param.out.prototxt").read_bytes()


# extract_features


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_features_are_the_nets(backend: str, tree: Path, run: Run) -> None:
    result = run("extract_features", WEIGHTS, MODEL, "conv1,fc1,label", "a,b,c", "3", backend, "CPU")
    assert result.exit_code == 0
    assert [line for line in messages(result) if "extract_features" in line] == [
        "E extract_features.cpp:62] Using CPU",
        "I extract_features.cpp:125] Opening dataset a",
        "I extract_features.cpp:125] Opening dataset b",
        "I extract_features.cpp:125] Opening dataset c",
        "E extract_features.cpp:133] Extracting Features",
        "E extract_features.cpp:176] Extracted features of 18 query images for feature blob conv1",
        "E extract_features.cpp:176] Extracted features of 18 query images for feature blob fc1",
        "E extract_features.cpp:176] Extracted features of 18 query images for feature blob label",
        "E extract_features.cpp:181] Successfully extracted the features!",
    ]
    net = Net(MODEL, caffe_pb2.TEST, weights=WEIGHTS)
    want: dict[str, list[np.ndarray]] = {"conv1": [], "fc1": [], "label": []}
    for _ in range(3):
        net.forward_layers()
        for name, images in want.items():
            images.extend(net.blobs[name].data.copy())
    for path, shape, images in zip("abc", [(4, 4, 4), (4, 1, 1), (1, 1, 1)], want.values()):
        with open_db(path) as db:
            assert db.backend == backend
            records = [(bytes(key), bytes(record)) for key, record in db.records()]
        assert [key for key, _ in records] == [b"%010d" % i for i in range(18)]
        for (_, record), image in zip(records, images):
            datum = parse(record)
            assert (datum.channels, datum.height, datum.width) == shape
            np.testing.assert_array_equal(datum.float_data, image.ravel())
            assert not caffe_pb2.Datum.FromString(record).HasField("label")


@pytest.mark.parametrize(
    ("blobs", "datasets", "batches", "reason"),
    [
        (["fc1"], ["a", "b"], 1, "the number of blob names and dataset names must be equal; 1 blobs, 2 datasets"),
        (["fc9"], ["a"], 1, "logs/net.prototxt: Unknown feature blob name 'fc9'; the net has data, label, "),
        (["fc1"], ["a"], 0, "number of batches: 0; expected at least 1"),
        (["fc1", "data"], ["a", "logs"], 1, "logs: exists already"),
        (["fc1"], ["none/a"], 1, "none/a: cannot make the database"),
    ],
)
def test_features_that_cannot_be(blobs: list[str], datasets: list[str], batches: int, reason: str, tree: Path) -> None:
    before = sorted(tree.iterdir())
    with pytest.raises(CaffeError) as caught:
        extract_features(WEIGHTS, MODEL, blobs, datasets, batches)
    assert str(caught.value).startswith(reason)
    assert sorted(tree.iterdir()) == before


# Data


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Three pictures and a list of them below the current directory; their pixels (3, 8, 6, 3)."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3), np.uint8)
    for i, picture in enumerate(pixels):
        cv2.imwrite(f"{i}.png", picture)
    Path("list").write_text("".join(f"{i}.png {i + 5}\n" for i in range(3)))
    return pixels


def test_convert_imageset_and_compute_image_mean_leveldb(pictures: np.ndarray, run: Run) -> None:
    result = run("convert_imageset", "--backend=leveldb", "--shuffle=false", "./", "list", "db")
    assert result.exit_code == 0
    assert messages(result) == [
        "I convert_imageset.cpp:86] A total of 3 images.",
        "I convert_imageset.cpp:150] Processed 3 files.",
    ]
    with open_db("db") as db:
        assert db.backend == "leveldb"
        data = [parse(bytes(record)) for _, record in db.records()]
    assert [datum.label for datum in data] == [5, 6, 7]
    np.testing.assert_array_equal(np.stack([d.image() for d in data]), pictures.transpose(0, 3, 1, 2))
    result = run("compute_image_mean", "-backend", "leveldb", "db", "mean.binaryproto")
    mean = pictures.mean(0).transpose(2, 0, 1)
    np.testing.assert_allclose(read_mean("mean.binaryproto"), mean, rtol=1e-6)
    lines = messages(result)
    assert lines[:4] == [
        "I compute_image_mean.cpp:70] Starting iteration",
        "I compute_image_mean.cpp:101] Processed 3 files.",
        "I compute_image_mean.cpp:108] Write to mean.binaryproto",
        "I compute_image_mean.cpp:114] Number of channels: 3",
    ]
    for c, line in enumerate(lines[4:]):
        where, value = line.rsplit(" ", 1)
        assert where == f"I compute_image_mean.cpp:119] mean_value channel [{c}]:"
        assert float(value) == pytest.approx(mean[c].mean(), rel=1e-5)
    assert len(lines) == 7 and messages(run("compute_image_mean", "db"))[-3:] == lines[-3:]


def test_flags_of_convert_imageset(pictures: np.ndarray, run: Run) -> None:
    assert run("convert_imageset", "-gray", "-resize_height=4", "-resize_width", "5", ".", "list", "a").exit_code == 0
    assert run("convert_imageset", "-resize_height=4", "-check_size", ".", "list", "b").exit_code == 0
    assert run("convert_imageset", "-encode_type=jpg", "--encoded", ".", "list", "c").exit_code == 0
    shapes = []
    for path in "abc":
        with open_db(path) as db:
            data = [parse(bytes(record)) for _, record in db.records()]
        shapes.append({datum.image().shape for datum in data} | {datum.encoded for datum in data})
    assert shapes == [{(1, 4, 5), False}, {(3, 8, 6), False}, {(3, 8, 6), True}]


# draw_net


def test_draw_net(tree: Path, run: Run) -> None:
    result = run("draw_net", "--rankdir=TB", "--phase", "TRAIN", MODEL, "net.dot")
    assert result.exit_code == 0 and result.output == "Drawing net to net.dot\n"
    train = Path("net.dot").read_text()
    assert "rankdir=TB" in train and "SoftmaxWithLoss" in train and "Accuracy" not in train
    run("draw_net", MODEL, "net.dot")
    assert "Accuracy" in Path("net.dot").read_text()
