"""Training against what BVLC Caffe 1.0 computed and printed (tests/golden/solvers)."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat import glog
from caffe_compat.layers.registry import layer_type_list
from caffe_compat.proto import caffe_pb2
from caffe_compat.solver import Solver
from caffe_compat.solver.state import read_state

GOLDEN = Path(__file__).parents[2] / "golden"
RTOL = 1e-4  # of an array's largest value; tens of updates amplify another order of summation


def can_run(case: dict[str, Any]) -> bool:
    net = (GOLDEN / "solvers" / case["dir"] / "net.prototxt").read_text()
    return set(re.findall(r'\btype: "([A-Z]\w+)"', net)) <= set(layer_type_list())


CASES = {case["name"]: case for case in json.loads((GOLDEN / "solvers" / "index.json").read_text())["cases"]}
KNOWN = [name for name, case in CASES.items() if can_run(case)]
RESUMED = [(name, k) for name in KNOWN for k in CASES[name]["snapshots"]]


class Replay:
    """A golden case in a folder of its own, which is the current one."""

    def __init__(self, name: str) -> None:
        self.case = CASES[name]
        self.folder = Path("solvers", self.case["dir"])
        with np.load(self.folder / "golden.npz") as arrays:
            self.arrays = dict(arrays)

    def solver(self) -> Solver:
        return Solver(self.folder / "solver.prototxt")

    def fresh(self) -> Solver:
        """A solver with the initial weights of the case."""
        solver = self.solver()
        if not solver.param.weights:
            solver.net.copy_from(self.folder / "init.caffemodel")
        return solver

    def check(self, what: str, got: Any, want: np.ndarray) -> None:
        got = np.asarray(got, np.float64)
        assert got.shape == want.shape, what
        scale = np.abs(want).max(initial=0.0)
        noise = 20 * min(self.case["noise"]["max_abs"], self.case["noise"]["max_rel_to_array_max"] * scale)
        assert np.abs(got - want).max(initial=0.0) <= max(RTOL * scale, noise), what

    def check_params(self, prefix: str, solver: Solver) -> None:
        keys = [key for key in self.arrays if key.startswith(prefix + "|")]
        for key in keys:
            _, layer, index = key.split("|")
            self.check(key, solver.net.params[layer][int(index)].data, self.arrays[key])

    def step(self, solver: Solver, losses: dict[str, list[float]]) -> None:
        solver.step(1)
        for name in self.case["losses"]:
            losses.setdefault(name, []).append(float(solver.net.blobs[name].data))


@pytest.fixture
def replay(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replay:
    name = request.param
    for part in (CASES[name]["dir"], "data"):
        shutil.copytree(GOLDEN / "solvers" / part, tmp_path / "solvers" / part)
    monkeypatch.chdir(tmp_path)
    return Replay(name)


@pytest.mark.parametrize("replay", KNOWN, indirect=True)
def test_parameters_and_losses_follow_caffes(replay: Replay) -> None:
    solver, losses = replay.fresh(), {}
    for key in [key for key in replay.arrays if key.startswith("init|")]:
        _, layer, index = key.split("|")
        np.testing.assert_array_equal(solver.net.params[layer][int(index)].data, replay.arrays[key])
    for k in range(1, replay.case["iters"] + 1):
        replay.step(solver, losses)
        replay.check_params(f"iter{k}", solver)
        if k in replay.case["snapshots"]:
            check_state(replay, solver.snapshot(), k)
    assert solver.iter == replay.case["iters"]
    replay.check_params("final", solver)
    for name, values in losses.items():
        replay.check(f"raw|{name}", values, replay.arrays[f"raw|{name}"])


@pytest.mark.parametrize("replay", ["sgd_bn", "sgd_snapshot", "sgd_snapshot_diff"], indirect=True)
def test_definitions_in_a_caffemodel_are_those_that_caffe_writes(replay: Replay) -> None:
    """Layers as they are after set-up: with a phase, the rates of BatchNorm, the weight of a loss."""
    stored = next(replay.folder.glob("snap*.caffemodel")).read_bytes()
    written = replay.solver().net.to_proto().SerializeToString()
    want, got = (caffe_pb2.NetParameter.FromString(data) for data in (stored, written))
    for layer in [*want.layer, *got.layer]:
        del layer.blobs[:]
    assert got == want


def check_state(replay: Replay, path: str, k: int) -> None:
    """The state we write against what Caffe wrote after as many iterations."""
    state = read_state(path)
    assert [state.iter, state.current_step] == replay.arrays[f"state_at_{k}"].tolist()
    assert state.learned_net == path.replace("solverstate", "caffemodel")
    stored = [key for key in replay.arrays if key.startswith(f"history_at_{k}|")]
    assert len(state.history) == len(stored)
    for i, array in enumerate(state.history):
        replay.check(f"history {i} at {k}", array, replay.arrays[f"history_at_{k}|{i}"])


@pytest.mark.parametrize(("replay", "k"), RESUMED, indirect=["replay"])
@pytest.mark.parametrize("origin", ["Caffe's", "ours"])
def test_resumes_as_caffe_does(replay: Replay, k: int, origin: str) -> None:
    state = next(replay.folder.glob(f"snap_iter_{k}.solverstate*"))
    if origin == "ours":
        for file in replay.folder.glob("snap_iter_*"):
            file.unlink()
        writer = replay.fresh()
        writer.step(k)
        assert Path(writer.snapshot()) == state
    solver, losses = replay.solver(), {}
    solver.restore(state)
    assert solver.iter == k
    while solver.iter < replay.case["iters"]:
        replay.step(solver, losses)
    replay.check_params(f"resume{k}_final", solver)
    for name, values in losses.items():
        replay.check(f"resume{k}_raw|{name}", values, replay.arrays[f"resume{k}_raw|{name}"])


@pytest.mark.parametrize("replay", KNOWN, indirect=True)
def test_prints_what_caffe_prints(replay: Replay) -> None:
    solver = replay.fresh()
    log = io.StringIO()
    handler = glog.attach(log)
    solver.solve()
    glog.detach(handler)
    text = log.getvalue()
    losses = re.findall(r"\] Iteration (\d+)(?: \(\S+ iter/s, \S+s/1 iters\))?, loss = (\S+)$", text, re.M)
    assert [int(k) for k, _ in losses] == replay.arrays["display_iter"].tolist()
    replay.check("display_loss", [float(loss) for _, loss in losses], replay.arrays["display_loss"])
    rates = re.findall(r"\] Iteration \d+, lr = (\S+)$", text, re.M)
    assert rates == [f"{rate:g}" for rate in replay.arrays["lr"]]
    check_tests(replay, text)


def check_tests(replay: Replay, text: str) -> None:
    found: list[list[Any]] = []
    for line in text.splitlines():
        message = line.partition("] ")[2]
        if match := re.fullmatch(r"Iteration (\d+), Testing net \(#(\d+)\)", message):
            place = [int(match[1]), int(match[2])]
        elif match := re.fullmatch(r"(Test loss): (\S+)|    Test net output #\d+: (\S+) = (\S+).*", message):
            found.append([*place, match[1] or match[3], float(match[2] or match[4])])
    want = replay.case["tests"]
    assert [test[:3] for test in found] == [test[:3] for test in want]
    np.testing.assert_allclose([test[3] for test in found], [test[3] for test in want], rtol=2e-4)
