"""MemoryData: whose arrays it delivers, in which order, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe_compat as caffe
from caffe_compat import glog, rng
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text

SIZES = "batch_size: 2 channels: 3 height: 1 width: 2"


def net(sizes: str = SIZES, more: str = "") -> caffe.Net:
    definition = (
        'layer { name: "memory" type: "MemoryData" top: "data" top: "label" '
        f"memory_data_param {{ {sizes} }} {more} }}"
        'layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }'
    )
    return caffe.Net(text.parse(definition, caffe_pb2.NetParameter))


def images(rows: int) -> np.ndarray:
    return np.arange(rows * 6, dtype=np.float32).reshape(rows, 3, 1, 2)


def test_golden_batches(golden_root: Path) -> None:
    loaded = caffe.Net("data/memorydata.prototxt", caffe.TEST)
    arrays = np.load("data/memorydata.npz")
    loaded.set_input_arrays(arrays["input_data"], arrays["input_label"])
    for k in range(4):
        loaded.forward()
        np.testing.assert_array_equal(loaded.blobs["data"].data, arrays[f"top_0_b{k}"])
        np.testing.assert_array_equal(loaded.blobs["label"].data, arrays[f"top_1_b{k}"])


def test_batches_in_order_round_and_round() -> None:
    loaded, data, labels = net(), images(4), np.arange(4, dtype=np.float32)
    assert (loaded.blobs["data"].shape, loaded.blobs["label"].shape) == ((2, 3, 1, 2), (2,))
    loaded.set_input_arrays(data, labels)
    for rows in ([0, 1], [2, 3], [0, 1]):
        loaded.forward()
        np.testing.assert_array_equal(loaded.blobs["data"].data, data[rows])
        np.testing.assert_array_equal(loaded.blobs["twice"].data, 2 * data[rows])
        np.testing.assert_array_equal(loaded.blobs["label"].data, labels[rows].reshape(2, 1, 1, 1))
    loaded.reshape()
    assert loaded.blobs["label"].shape == (2, 1, 1, 1)


def test_new_arrays_begin_at_their_first_row() -> None:
    loaded = net()
    loaded.set_input_arrays(images(4), np.zeros((4, 1, 1, 1), np.float32))
    loaded.forward()
    loaded.set_input_arrays(-images(2), np.ones(2, np.float32))
    loaded.forward()
    np.testing.assert_array_equal(loaded.blobs["data"].data, -images(2))
    assert loaded.blobs["label"].data.ravel().tolist() == [1, 1]


def test_arrays_stay_the_users() -> None:
    """What the user writes into them is delivered; what is written into blobs does not reach them."""
    loaded, data = net(), images(4)
    loaded.set_input_arrays(data, np.zeros(4, np.float32))
    data[2] = 7
    loaded.forward()
    first = loaded.blobs["data"].data
    first[...] = -1
    loaded.forward()
    assert (loaded.blobs["data"].data[0] == 7).all()
    np.testing.assert_array_equal(data[:2], images(2))


@pytest.mark.parametrize(("transform", "draws"), [("", 0), ("transform_param { mirror: true }", 1)])
def test_draws_of_the_main_generator(transform: str, draws: int) -> None:
    rng.set_random_seed(9)
    net(more=transform)
    assert rng.rng_next_u32() == rng.Rng(9).u32(draws + 1)[-1]


def test_transformation_is_not_done_but_warned_about(tmp_path: Path) -> None:
    handler = glog.attach(tmp_path / "log")
    loaded = net(more="transform_param { scale: 3 }")
    loaded.set_input_arrays(images(2), np.zeros(2, np.float32))
    loaded.forward()
    glog.detach(handler)
    np.testing.assert_array_equal(loaded.blobs["data"].data, images(2))
    assert "MemoryData does not transform array data on Reset()" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("data", "labels", "words"),
    [
        (images(4).astype(np.float64), np.zeros(4, np.float32), "data array: float64; expected C contiguous float32"),
        (images(4)[::2], np.zeros(2, np.float32), "data array: non-contiguous float32; expected C contiguous"),
        (images(4), np.zeros(4, np.int64), "labels array: int64; expected C contiguous float32"),
        (images(4)[:, :2], np.zeros(4, np.float32), "data array: shape [4, 2, 1, 2]; expected [n, 3, 1, 2]"),
        (images(4), np.zeros((4, 2), np.float32), "labels array: shape [4, 2]; expected [n, 1, 1, 1]"),
        (images(4), np.zeros(2, np.float32), "4 rows of data, but 2 of labels"),
        (images(3), np.zeros(3, np.float32), "3 rows; expected a multiple of batch_size: 2"),
        (images(0), np.zeros(0, np.float32), "0 rows; expected a multiple of batch_size: 2"),
    ],
)
def test_arrays_that_do_not_fit(data: np.ndarray, labels: np.ndarray, words: str) -> None:
    loaded = net()
    with pytest.raises(CaffeError) as caught:
        loaded.set_input_arrays(data, labels)
    assert str(caught.value).startswith(f"layer 'memory': {words}")


def test_forward_without_arrays() -> None:
    with pytest.raises(CaffeError, match=r"layer 'memory': no data yet: give it some with net.set_input_arrays"):
        net().forward()


def test_missing_sizes() -> None:
    with pytest.raises(CaffeError, match=r"layer 'memory': memory_data_param: batch_size, .*; got \[2, 3, 0, 2\]"):
        net("batch_size: 2 channels: 3 width: 2")


def test_only_for_nets_that_begin_with_memory_data() -> None:
    definition = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 } } }'
    loaded = caffe.Net(text.parse(definition, caffe_pb2.NetParameter))
    with pytest.raises(CaffeError, match="set_input_arrays: the first layer is of type Input; expected MemoryData"):
        loaded.set_input_arrays(images(2), np.zeros(2, np.float32))
