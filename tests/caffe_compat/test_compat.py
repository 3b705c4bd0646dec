"""What each switch between Caffe 1.0 and the Caffe of 2014 changes, in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat import compat
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text


def net(definition: str, words: str) -> Net:
    with compat.use(words):
        return Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TEST)


def test_1_0_is_all_off_and_2014_all_on() -> None:
    assert not any(getattr(compat.parse("1.0"), name) for name in compat.SWITCHES)
    assert all(getattr(compat.parse("2014"), name) for name in compat.SWITCHES)
    assert compat.active() == compat.parse("1.0")


def test_single_switches_go_on_and_off() -> None:
    only = compat.parse("1.0,crop_below_margin")
    assert [name for name in compat.SWITCHES if getattr(only, name)] == ["crop_below_margin"]
    assert not compat.parse("2014,-log_2014").log_2014


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("2015", "compat: '2015', expected 1.0 or 2014"),
        ("1.0,crop_bellow_margin", "unknown switch 'crop_bellow_margin'; did you mean 'crop_below_margin'?"),
    ],
)
def test_unknown_words_are_one_line(words: str, message: str) -> None:
    with pytest.raises(CaffeError) as error:
        compat.parse(words)
    assert message in str(error.value)


ACCURACY = """
layer { name: "in" type: "Input" top: "p" top: "label" input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }
layer { name: "acc" type: "Accuracy" bottom: "p" bottom: "label" top: "acc" }
"""


def test_accuracy_of_two_lets_the_lowest_class_win_a_tie_and_floors_the_log_loss() -> None:
    probabilities = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [1, 0, 0], [0.2, 0.3, 0.5]], np.float32)
    found = {}
    for words in ("1.0", "1.0,accuracy_of_two"):
        accuracy = net(ACCURACY, words)
        accuracy.blobs["p"].data[...] = probabilities
        accuracy.blobs["label"].data[...] = [0, 1, 2, 2]
        accuracy.forward_layers()
        found[words] = accuracy.blobs["acc"].data.ravel().tolist()
    assert found["1.0"] == [0.25]  # both ties are wrong
    assert found["1.0,accuracy_of_two"][0] == 0.5  # the tie at class 0 is right
    log_loss = -(2 * np.log(0.5) + np.log(1e-20) + np.log(0.5)) / 4
    assert found["1.0,accuracy_of_two"][1] == pytest.approx(log_loss, rel=1e-6)


def test_accuracy_of_two_takes_the_softmax_of_scores() -> None:
    accuracy = net(ACCURACY, "1.0,accuracy_of_two")
    accuracy.blobs["p"].data[...] = np.arange(12).reshape(4, 3)
    accuracy.blobs["label"].data[...] = 2
    accuracy.forward_layers()
    want = np.log(1 + np.exp(-1) + np.exp(-2))
    assert accuracy.blobs["acc"].data.ravel().tolist() == pytest.approx([1, want], rel=1e-6)


POOL = """
force_backward: true
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 3 dim: 3 } } }
layer { name: "pool" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: MAX kernel_size: 2 stride: 1 } }
"""


@pytest.mark.parametrize(
    ("words", "gradient"),
    [
        ("1.0", [[0, 1 + 2, 0], [0, 0, 0], [4, 8, 0]]),  # one winner a window, the first
        ("1.0,pool_gradient_to_ties", [[0, 1 + 2, 0], [0, 0, 0], [4, 4 + 8, 8]]),
    ],
)
def test_pool_gradient_to_ties(words: str, gradient: list[list[float]]) -> None:
    pool = net(POOL, words)
    pool.blobs["x"].data[...] = [[0, 5, 0], [0, 0, 0], [2, 2, 2]]
    pool.forward_layers()
    assert pool.blobs["y"].data.ravel().tolist() == [5, 5, 2, 2]
    pool.blobs["y"].diff[...] = np.array([[1, 2], [4, 8]])
    pool.backward_layers()
    assert pool.blobs["x"].diff[0, 0].tolist() == gradient
