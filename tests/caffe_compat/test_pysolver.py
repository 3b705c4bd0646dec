"""Solvers as pycaffe's users know them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

import caffe_compat as caffe
from caffe_compat import glog
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, read_solver

CLASSES = {
    "SGD": caffe.SGDSolver,
    "Nesterov": caffe.NesterovSolver,
    "AdaGrad": caffe.AdaGradSolver,
    "RMSProp": caffe.RMSPropSolver,
    "AdaDelta": caffe.AdaDeltaSolver,
    "Adam": caffe.AdamSolver,
}
NET = """
layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
    data_filler { type: "gaussian" std: 1 } data_filler { type: "gaussian" std: 1 }
    shape { dim: 8 dim: 3 } shape { dim: 8 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "z" inner_product_param {
    num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "y" top: "loss" }
"""


@pytest.fixture
def solver_file(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    path = tmp_path / "solver.prototxt"
    path.write_text(
        f'net: "{tmp_path}/net.prototxt" test_iter: 2 test_interval: 5 test_initialization: false base_lr: 0.1 '
        f'lr_policy: "step" gamma: 0.5 stepsize: 2 max_iter: 6 snapshot_prefix: "{tmp_path}/s" random_seed: 3'
    )
    return path


@pytest.mark.parametrize("name", CLASSES)
def test_the_class_decides_and_get_solver_reads(name: str, solver_file: Path) -> None:
    solver = CLASSES[name](str(solver_file))
    assert isinstance(solver, caffe.Solver)
    solver.step(2)
    solver_file.write_text(solver_file.read_text() + f' type: "{name}"')
    read = caffe.get_solver(str(solver_file))
    assert type(read) is CLASSES[name]
    read.step(2)
    np.testing.assert_array_equal(read.net.params["ip"][0].data, solver.net.params["ip"][0].data)
    assert solver.optimizer.rule.type == name
    other = CLASSES["Adam" if name == "SGD" else "SGD"](str(solver_file))  # whatever the prototxt says, as in pycaffe
    assert other.optimizer.rule.type != name


def test_a_solver_file_is_read_once(solver_file: Path) -> None:
    solver_file.write_text(solver_file.read_text() + " solver_type: ADAM")
    lines = io.StringIO()
    handler = glog.attach(lines)
    try:
        assert isinstance(caffe.get_solver(solver_file), caffe.AdamSolver)
    finally:
        glog.detach(handler)
    assert lines.getvalue().count("Attempting to upgrade input file") == 1


def test_an_unknown_type_is_named(solver_file: Path) -> None:
    solver_file.write_text(solver_file.read_text() + ' type: "LBFGS"')
    with pytest.raises(CaffeError, match=r"solver.prototxt: Unknown solver type: 'LBFGS'; known: AdaDelta, "):
        caffe.get_solver(solver_file)


def test_a_solver_parameter_will_do_and_is_left_alone(solver_file: Path) -> None:
    param = read_solver(solver_file)
    solver = caffe.AdamSolver(param)
    assert param.type == "SGD"
    assert solver.param.type == "Adam"
    assert isinstance(caffe.get_solver(param), caffe.SGDSolver)
    assert isinstance(param, caffe_pb2.SolverParameter)


def test_steps_by_hand_are_those_of_step(solver_file: Path) -> None:
    automatic, manual = (caffe.SGDSolver(str(solver_file)) for _ in range(2))
    caffe.set_random_seed(5)
    automatic.step(4)
    caffe.set_random_seed(5)
    rates = []
    for _ in range(4):
        manual.net.clear_param_diffs()
        manual.net.forward()
        manual.net.backward()
        rates.append(manual.lr)
        manual.apply_update()
    assert manual.iter == automatic.iter == 4
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.05])
    np.testing.assert_array_equal(manual.net.params["ip"][0].data, automatic.net.params["ip"][0].data)
    assert manual.net.blobs["loss"].data == automatic.net.blobs["loss"].data


def test_fields_of_param_may_change_between_steps(solver_file: Path) -> None:
    solver = caffe.SGDSolver(str(solver_file))
    assert (solver.param.max_iter, solver.param.display) == (6, 0)
    solver.param.base_lr = 0
    before = solver.net.params["ip"][0].data.copy()
    solver.step(1)
    np.testing.assert_array_equal(solver.net.params["ip"][0].data, before)


def test_callbacks_stand_around_the_passes(solver_file: Path) -> None:
    solver = caffe.SGDSolver(str(solver_file))
    seen: list[tuple[str, bool]] = []
    solver.add_callback(
        lambda: seen.append(("start", bool(solver.net.params["ip"][0].diff.any()))),
        lambda: seen.append(("gradients", bool(solver.net.params["ip"][0].diff.any()))),
    )
    solver.step(2)
    assert seen == [("start", False), ("gradients", True)] * 2


def test_test_nets_are_nets_that_follow_in_tests_or_at_once(solver_file: Path) -> None:
    solver = caffe.SGDSolver(str(solver_file))
    (test_net,) = solver.test_nets
    assert isinstance(test_net, caffe.Net)
    solver.step(1)
    assert (test_net.params["ip"][0].data != solver.net.params["ip"][0].data).any()
    solver.share_weights(test_net)
    solver.step(1)
    np.testing.assert_array_equal(test_net.params["ip"][0].data, solver.net.params["ip"][0].data)
    assert test_net.forward()["loss"] > 0


def test_snapshot_restore_and_solve(solver_file: Path) -> None:
    solver = caffe.SGDSolver(str(solver_file))
    solver.step(3)
    state = solver.snapshot()
    weights = solver.net.params["ip"][0].data.copy()
    again = caffe.SGDSolver(str(solver_file))
    again.restore(state)
    assert again.iter == 3
    np.testing.assert_array_equal(again.net.params["ip"][0].data, weights)
    again.solve()
    assert again.iter == 6
    third = caffe.SGDSolver(str(solver_file))
    third.solve(state)
    assert third.iter == 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_solver_and_nets_follow_the_mode(solver_file: Path) -> None:
    solver = caffe.SGDSolver(str(solver_file))
    solver.step(1)
    try:
        caffe.set_mode_gpu()
        solver.step(2)
        assert solver.net.device.type == solver.optimizer.history[0].device.type == "cuda"
    finally:
        caffe.set_mode_cpu()
    solver.step(3)
    assert solver.net.device.type == solver.test_nets[0].device.type == "cpu"
    assert np.isfinite(solver.net.params["ip"][0].data).all()
