"""HDF5Output: the datasets it writes, when, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe_compat as caffe
from caffe_compat import glog
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text

from .. import own_lines


def net(path: object, data: str = "dim: 3 dim: 2", label: str = "dim: 3") -> caffe.Net:
    definition = (
        'layer { name: "in" type: "Input" top: "x" top: "y" '
        f"input_param {{ shape {{ {data} }} shape {{ {label} }} }} }}"
        'layer { name: "out" type: "HDF5Output" bottom: "x" bottom: "y" '
        f'hdf5_output_param {{ file_name: "{path}" }} }}'
    )
    return caffe.Net(text.parse(definition, caffe_pb2.NetParameter))


def content(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        return {name: file[name][...] for name in file}


def test_golden_file(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = caffe.Net(str(golden / "data" / "hdf5output.prototxt"), caffe.TEST)
    arrays = np.load(golden / "data" / "hdf5output.npz")
    loaded.blobs["data"].data[...] = arrays["bottom_0"]
    loaded.blobs["label"].data[...] = arrays["bottom_1"]
    loaded.forward()
    got, want = content(Path("data/hdf5output.h5")), content(golden / "data" / "hdf5output.h5")
    assert sorted(got) == sorted(want) == ["data", "label"]
    for name in want:
        assert got[name].dtype == want[name].dtype
        np.testing.assert_array_equal(got[name], want[name])


def test_file_is_whole_from_set_up_on_and_holds_the_last_batch(tmp_path: Path) -> None:
    path = tmp_path / "out.h5"
    loaded = net(path)
    assert content(path) == {}
    for batch in range(2):
        loaded.blobs["x"].data[...] = np.arange(6).reshape(3, 2) + 10 * batch
        loaded.blobs["y"].data[...] = np.arange(3) + 100 * batch
        loaded.forward()
    got = content(path)
    np.testing.assert_array_equal(got["data"], (np.arange(6) + 10).reshape(3, 2, 1, 1))
    np.testing.assert_array_equal(got["label"], (np.arange(3) + 100).reshape(3, 1, 1, 1))
    assert [file.name for file in tmp_path.iterdir()] == ["out.h5"]


def test_other_number_of_rows(tmp_path: Path) -> None:
    loaded = net(tmp_path / "out.h5")
    loaded.blobs["x"].reshape(5, 2)
    loaded.blobs["y"].reshape(5)
    loaded.forward()
    assert content(tmp_path / "out.h5")["label"].shape == (5, 1, 1, 1)


def test_no_gradient_comes_back(tmp_path: Path) -> None:
    definition = (
        'force_backward: true layer { name: "in" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 } } }'
        f'layer {{ name: "out" type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param {{ file_name: '
        f'"{tmp_path / "out.h5"}" }} }}'
        'layer { name: "loss" type: "Reduction" bottom: "x" top: "loss" loss_weight: 1 }'
    )
    loaded = caffe.Net(text.parse(definition, caffe_pb2.NetParameter))
    loaded.forward()
    loaded.backward()
    assert loaded.blobs["x"].diff.tolist() == [1, 1]


def test_log_lines(tmp_path: Path) -> None:
    loaded = net(tmp_path / "out.h5")
    handler = own_lines.attach(tmp_path / "log")
    loaded.forward()
    glog.detach(handler)
    lines = [line.split(None, 3)[3] for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == [
        f"hdf5_output_layer.cpp:32] Saving HDF5 file {tmp_path / 'out.h5'}",
        "hdf5_output_layer.cpp:37] Successfully saved 3 rows",
    ]


@pytest.mark.parametrize(
    ("path", "label", "words"),
    [
        ("", "dim: 3", "hdf5_output_param.file_name is missing"),
        ("FOLDER", "dim: 3", "hdf5_output_param.file_name: "),
        ("out.h5", "dim: 2", "bottoms of 3 and 2 rows; expected the same number"),
        ("out.h5", "dim: 3 dim: 1 dim: 1 dim: 1 dim: 1", "bottom 'y' has the shape [3, 1, 1, 1, 1]; expected up to 4"),
    ],
)
def test_bad_definitions(tmp_path: Path, path: str, label: str, words: str) -> None:
    (tmp_path / "FOLDER").mkdir()
    with pytest.raises(CaffeError) as caught:
        net(path and tmp_path / path, label=label)
    assert str(caught.value).startswith(f"layer 'out': {words}")
    assert "\n" not in str(caught.value)
