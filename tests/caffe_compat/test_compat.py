"""What each switch between Caffe 1.0 and the Caffe of 2014 changes, in numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat import compat, glog
from caffe_compat.data.db import create_db
from caffe_compat.errors import CaffeError
from caffe_compat.layers.registry import create_layer
from caffe_compat.libc_rand import LibcRand
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text
from caffe_compat.rng import set_random_seed
from caffe_compat.solver import Solver


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


@pytest.mark.parametrize("words", ["1.0", "2014", "2014,-log_2014", "1.0,unseeded_rand,crop_below_margin"])
def test_switches_have_words(words: str) -> None:
    assert compat.parse(str(compat.parse(words))) == compat.parse(words)


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


@pytest.fixture
def pixels(tmp_path: Path) -> str:
    """An LMDB of 8 images of 6 x 6 whose pixels say where they are: 10 * row + column."""
    image = (10 * np.arange(6)[:, None] + np.arange(6)).astype(np.uint8)
    with create_db(tmp_path / "db", "lmdb") as db:
        for i in range(8):
            datum = caffe_pb2.Datum(channels=1, height=6, width=6, data=image.tobytes(), label=i)
            db.put(b"%08d" % i, datum.SerializeToString())
    return str(tmp_path / "db")


def data_layer(source: str, phase: int = caffe_pb2.TRAIN, mirror: bool = True, batch_size: int = 4) -> Any:
    param = caffe_pb2.LayerParameter(name="data", type="Data", top=["data", "label"])
    param.data_param.source, param.data_param.batch_size = source, batch_size
    param.transform_param.crop_size, param.transform_param.mirror = 4, mirror
    layer = create_layer(param, phase)
    layer.setup([])
    return layer


def places(layer: Any, batches: int) -> list[tuple[int, int, bool]]:
    """Row, column and mirror of each image, read off its pixels."""
    images = np.concatenate([layer.forward()[0].numpy() for _ in range(batches)])[:, 0]
    layer.close()
    return [(int(i[0].min()) // 10, int(i[0].min()) % 10, bool(i[0, 0] > i[0, 1])) for i in images]


def test_crop_below_margin_never_takes_the_last_offset(pixels: str) -> None:
    found = {}
    for words in ("1.0", "1.0,crop_below_margin"):
        with compat.use(words):
            set_random_seed(3)
            found[words] = places(data_layer(pixels), 40)
    assert {row for row, _, _ in found["1.0"]} == {0, 1, 2}
    assert {row for row, _, _ in found["1.0,crop_below_margin"]} == {0, 1}
    assert {column for _, column, _ in found["1.0,crop_below_margin"]} == {0, 1}


def test_unseeded_rand_gives_row_column_and_mirror_in_that_order(pixels: str) -> None:
    """The numbers for a margin of 29 stand in the study's notes; here the same draws are taken modulo 2."""
    rand = LibcRand()
    draws = [rand.rand() for _ in range(3 * 12)]
    with compat.use("2014"):
        assert places(data_layer(pixels), 3) == [
            (a % 2, b % 2, c % 2 == 1) for a, b, c in zip(draws[::3], draws[1::3], draws[2::3])
        ]
    assert [(a % 29, b % 29, c % 2) for a, b, c in zip(draws[:15:3], draws[1:15:3], draws[2:15:3])] == [
        (8, 9, 1),
        (25, 17, 1),
        (0, 24, 1),
        (28, 17, 1),
        (13, 2, 1),
    ]


def test_random_first_test_batch_comes_between_the_first_two_training_batches(pixels: str) -> None:
    rand = LibcRand()
    draws = [rand.rand() for _ in range(3 * 4 + 2 * 2 + 3 * 4)]
    with compat.use("2014"):
        train = data_layer(pixels)
        test = data_layer(pixels, caffe_pb2.TEST, mirror=False, batch_size=2)
        crops = places(test, 2)
        trained = places(train, 2)
    first, aside, second = draws[:12], draws[12:16], draws[16:]
    assert crops == [(aside[0] % 2, aside[1] % 2, False), (aside[2] % 2, aside[3] % 2, False), *[(1, 1, False)] * 2]
    assert trained == [
        (a % 2, b % 2, c % 2 == 1) for part in (first, second) for a, b, c in zip(part[::3], part[1::3], part[2::3])
    ]


def test_a_layer_of_2014_goes_on_where_it_stood(pixels: str) -> None:
    with compat.use("2014"):
        layer = data_layer(pixels)
        layer.forward()
        state = layer.data_state()
        following = places(layer, 3)
    with compat.use("2014"):
        resumed = data_layer(pixels)
        resumed.load_data_state(state)
        assert places(resumed, 3) == following


SOLVER = """
base_lr: 1 lr_policy: "step" gamma: 0.1 stepsize: 2 max_iter: 4 display: 2 test_iter: 1 test_interval: 2
snapshot: 4 solver_mode: CPU random_seed: 1
net_param {
  layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param {
    shape { dim: 1 dim: 1 } data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 0 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param {
    num_output: 1 bias_term: false weight_filler { type: "constant" value: 1 } } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" loss_weight: 0.1 }
}
"""


def train(tmp_path: Path, words: str) -> tuple[list[str], float, list[str]]:
    """What a run of four updates logs (without loss of speed), the weight at its end, and the files it leaves."""
    param = text.parse(SOLVER, caffe_pb2.SolverParameter)
    param.snapshot_prefix = str(tmp_path / words / "net")
    handler = glog.attach(tmp_path / "log")
    with compat.use(words):
        solver = Solver(param)
        solver.solve()
    glog.detach(handler)
    lines = [line.split("] ", 1)[1] for line in (tmp_path / "log").read_text().splitlines() if "] " in line]
    (tmp_path / "log").unlink()
    wanted = [re.sub(r" \(.*iters\)", "", line) for line in lines if re.match(r"Iteration|Test score| +T", line)]
    files = sorted(file.name for file in (tmp_path / words).iterdir())
    return wanted, float(solver.net.params["ip"][0].data[0, 0]), files


def test_solver_of_1_0(tmp_path: Path) -> None:
    lines, _, files = train(tmp_path, "1.0")
    assert lines[0] == "Iteration 0, Testing net (#0)"
    assert "Iteration 2, lr = 0.1" in lines
    assert files == ["net_iter_4.caffemodel", "net_iter_4.solverstate"]


def test_solver_of_2014(tmp_path: Path) -> None:
    lines, _, files = train(tmp_path, "2014")
    # The second update already has the rate of iteration 2, and the loss before it is 0.5 * (1 - 0.1 * 1)² * 0.1.
    assert lines == [
        "Iteration 2, lr = 0.1",
        "Iteration 2, loss = 0.0405",
        "Iteration 2, Testing net",
        lines[3],
        "Iteration 4, lr = 0.01",
        lines[5],
        "Iteration 4, Testing net",
        lines[7],
    ]
    assert lines[3].startswith("Test score #0: ")
    assert float(lines[3].split(": ")[1]) == pytest.approx(0.5 * (0.9 - 0.1 * 0.09) ** 2, rel=1e-5)
    assert files == ["net_iter_0", "net_iter_0.solverstate", "net_iter_4", "net_iter_4.solverstate"]


def test_lr_counts_from_1_by_itself(tmp_path: Path) -> None:
    """Updates 1 to 4 have rates 1, 1, .1, .1 in 1.0 and 1, .1, .1, .01 in 2014; each shrinks the weight by 0.1 rate."""
    (_, now, _), (_, then, _) = train(tmp_path, "1.0"), train(tmp_path, "1.0,lr_counts_from_1")
    assert now == pytest.approx(0.9 * 0.9 * 0.99 * 0.99, rel=1e-5)
    assert then == pytest.approx(0.9 * 0.99 * 0.99 * 0.999, rel=1e-5)
