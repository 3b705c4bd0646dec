"""A training run that is killed loses nothing but the time since its last snapshot."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caffe_compat.proto import caffe_pb2
from caffe_compat.solver import Solver
from caffe_compat.solver.state import read_state

GOLDEN = Path(__file__).parents[2] / "golden"
# Without an end, so that it is never over before it is killed.
SOLVER = """
net: "logs/net.prototxt" test_iter: 2 test_interval: 10 base_lr: 0.05 momentum: 0.9 weight_decay: 0.0005
lr_policy: "multistep" gamma: 0.5 stepvalue: 6 stepvalue: 20 max_iter: 1000000 snapshot: 1 snapshot_prefix: "snap"
random_seed: 11
"""
TRAIN = """
import time, torch
from caffe_compat.solver import Solver

torch.set_num_threads(1)  # as in these tests: sums over two threads have other last bits
solver = Solver("solver.prototxt")
solver.add_callback(lambda: time.sleep(0.01), lambda: None)  # some snapshots until it is killed, not hundreds
print("training", flush=True)
solver.solve()
"""


def prepare(folder: Path) -> Path:
    (folder / "logs").mkdir(parents=True)
    shutil.copy(GOLDEN / "logs" / "net.prototxt", folder / "logs")
    shutil.copytree(GOLDEN / "solvers" / "data", folder / "solvers" / "data")
    (folder / "solver.prototxt").write_text(SOLVER)
    return folder


def resumed(last: int) -> list[bytes]:
    """Train on from a snapshot; the bytes of the tenth after it."""
    solver = Solver("solver.prototxt")
    solver.restore(f"snap_iter_{last}.solverstate")
    solver.step(10)
    return [Path(f"snap_iter_{last + 10}.{kind}").read_bytes() for kind in ("caffemodel", "solverstate")]


def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed, whole = prepare(tmp_path / "killed"), prepare(tmp_path / "whole")
    process = subprocess.Popen([sys.executable, "-c", TRAIN], cwd=killed, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "training\n"
    while process.poll() is None and not list(killed.glob("*.solverstate")):
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.4))
    process.kill()
    assert process.wait() == -signal.SIGKILL

    monkeypatch.chdir(killed)
    states = sorted((read_state(path) for path in Path().glob("*.solverstate")), key=lambda state: state.iter)
    last = states[-1].iter
    assert [state.iter for state in states] == list(range(1, last + 1))
    for state in states:
        model = caffe_pb2.NetParameter.FromString(Path(state.learned_net).read_bytes())
        assert [len(layer.blobs) for layer in model.layer if layer.blobs] == [2, 2]
    mine = resumed(last)

    monkeypatch.chdir(whole)
    Solver("solver.prototxt").step(last)
    assert mine == resumed(last)
