"""The small nets on the demo's images: they learn, and a transfer keeps what it should keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, read_solver
from caffe_compat.solver import Solver
from caffe_compat.solver.pauses import finish
from caffe_compat.solver.testing import scoring
from yosinski.demo_data import write_demo_data
from yosinski.net_names import parse_name
from yosinski.networks import write_nets

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, definitions and the weights of base_A after 150 iterations."""
    folder = tmp_path_factory.mktemp("study")
    write_demo_data(folder / "data/mini")
    specs = [parse_name(name) for name in ("base_A", "transfer_A3B", "transfer_A3B+")]
    write_nets(folder / "prototxt/mini", specs, "mini")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        solver = solver_of("base_A")
        solver.step(150)
        solver.snapshot()
    return folder


def solver_of(name: str, *weights: str) -> Solver:
    param = read_solver("prototxt/mini/solver.prototxt")
    param.net = f"prototxt/mini/{name}.prototxt"
    param.snapshot_prefix = name
    param.weights.extend(weights)
    param.ClearField("test_interval")
    param.ClearField("test_iter")
    return Solver(param)


def params(net: Net) -> dict[str, list[np.ndarray]]:
    return {name.removesuffix("-new"): [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def same(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_base_learns(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(base)
    net = Net("prototxt/mini/base_A.prototxt", caffe_pb2.TEST)
    net.copy_from("base_A_iter_150.caffemodel")
    scores = finish(scoring(net, 10, lambda: False))
    assert scores is not None
    assert float(scores.outputs["accuracy"]) > 0.75  # chance is 0.2
    assert float(scores.outputs["loss"]) < 0.8  # and ln 5 = 1.6


@pytest.mark.parametrize(("name", "frozen"), [("transfer_A3B", 3), ("transfer_A3B+", 0)])
def test_transfer(base: Path, monkeypatch: pytest.MonkeyPatch, name: str, frozen: int) -> None:
    """Three layers come from the base, the rest from the fillers; then only the frozen ones stay as they are."""
    monkeypatch.chdir(base)
    source = Net("prototxt/mini/base_A.prototxt", caffe_pb2.TEST)
    source.copy_from("base_A_iter_150.caffemodel")
    weights = params(source)
    solver = solver_of(name, "base_A_iter_150.caffemodel")
    before = params(solver.net)
    solver.step(3)
    after = params(solver.net)
    assert tuple(after) == LAYERS
    for number, layer in enumerate(LAYERS, start=1):
        assert same(weights[layer], before[layer]) == (number <= 3), layer
        assert same(before[layer], after[layer]) == (number <= frozen), layer
