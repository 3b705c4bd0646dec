"""HDF5Data: rows in order across files, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe_compat import libc_rand
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files: rows 0 to 3 and 4 to 6; row k of ``x`` is [10 k, 10 k + 1], that of ``y`` is k."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("a.h5", np.arange(0, 4)), ("b.h5", np.arange(4, 7))):
        with h5py.File(name, "w") as file:
            file["x"] = 10.0 * rows[:, None] + np.arange(2)
            file["y"] = rows.astype(np.int32)
            file["words"] = np.array([b"w"] * len(rows))
            file["number"] = 3.0
    Path("list.txt").write_text("a.h5\nb.h5\n")
    Path("one.txt").write_text("a.h5\n")
    return tmp_path


def net(fields: str, tops: str = 'top: "y" top: "x"') -> Net:
    text = f'layer {{ name: "data" type: "HDF5Data" {tops} hdf5_data_param {{ {fields} }} }}'
    return Net(prototxt.parse(text, caffe_pb2.NetParameter))


def deliver(loaded: Net, batches: int) -> list[list[int]]:
    rows = []
    for _ in range(batches):
        loaded.forward_layers()
        y, x = loaded.blobs["y"].data, loaded.blobs["x"].data
        np.testing.assert_array_equal(x, 10 * y[:, None] + np.arange(2))
        rows.append(y.astype(int).tolist())
    return rows


def test_batches_run_across_files_and_wrap(folder: Path) -> None:
    loaded = net('source: "list.txt" batch_size: 5')
    assert (loaded.blobs["x"].shape, loaded.blobs["y"].shape) == ((5, 2), (5,))
    assert loaded.blobs["x"].data.dtype == loaded.blobs["y"].data.dtype == np.float32
    assert deliver(loaded, 3) == [[0, 1, 2, 3, 4], [5, 6, 0, 1, 2], [3, 4, 5, 6, 0]]


def test_a_batch_may_be_larger_than_all_files(folder: Path) -> None:
    assert deliver(net('source: "one.txt" batch_size: 9'), 1) == [[0, 1, 2, 3, 0, 1, 2, 3, 0]]


def test_shuffling_is_that_of_the_c_library(folder: Path) -> None:
    """One file: its rows are shuffled when it is loaded, and shuffled further at each end."""
    libc_rand.begin_anew()
    got = deliver(net('source: "one.txt" batch_size: 4 shuffle: true'), 2)
    numbers, rows, expected = libc_rand.LibcRand(), [0, 1, 2, 3], []
    for _ in range(2):
        numbers.shuffle(rows)
        expected.append(list(rows))
    assert got == expected


@pytest.mark.parametrize(
    ("fields", "tops", "words"),
    [
        ('source: "none.txt" batch_size: 1', 'top: "x"', "Failed to open source file: 'none.txt'"),
        ('source: "empty.txt" batch_size: 1', 'top: "x"', "Must have at least 1 HDF5 filename listed in 'empty.txt'"),
        ('source: "broken.txt" batch_size: 1', 'top: "x"', "Failed opening HDF5 file: 'list.txt'"),
        ('source: "list.txt" batch_size: 0', 'top: "x"', "hdf5_data_param.batch_size: 0, expected a positive number"),
        ('source: "list.txt" batch_size: 1', 'top: "z"', "a.h5: no dataset 'z' of numbers with at least 1 axis"),
        ('source: "list.txt" batch_size: 1', 'top: "words"', "a.h5: no dataset 'words' of numbers"),
        (
            'source: "list.txt" batch_size: 1',
            'top: "number"',
            "a.h5: no dataset 'number' of numbers with at least 1 axis",
        ),
        ('source: "uneven.txt" batch_size: 1', 'top: "x" top: "y"', "u.h5: datasets ['x', 'y'] have [3, 2] rows"),
    ],
)
def test_bad_definitions(folder: Path, fields: str, tops: str, words: str) -> None:
    Path("empty.txt").touch()
    Path("broken.txt").write_text("list.txt")
    Path("uneven.txt").write_text("u.h5")
    with h5py.File("u.h5", "w") as file:
        file["x"], file["y"] = np.zeros(3), np.zeros(2)
    with pytest.raises(CaffeError) as caught:
        net(fields, tops)
    assert str(caught.value).startswith(f"layer 'data': {words}")
    assert "\n" not in str(caught.value)


def test_no_transformation(folder: Path) -> None:
    with pytest.raises(CaffeError, match="layer 'data': HDF5Data does not transform data; remove transform_param"):
        net('source: "one.txt" batch_size: 1 } transform_param { scale: 2')


def test_a_later_file_of_another_shape(folder: Path) -> None:
    with h5py.File("b.h5", "r+") as file:
        del file["x"]
        file["x"] = np.zeros((3, 5))
    loaded = net('source: "list.txt" batch_size: 3')
    loaded.forward_layers()
    with pytest.raises(CaffeError, match=r"b\.h5: rows of 'x' have the shape \[5\], before \[2\]"):
        loaded.forward_layers()
