"""`caffe train`: devices, stages, and what signals do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from caffe_compat.solver.state import read_state

Run = Callable[..., Result]
NEVER = 10**8
GOLDEN_STATES = ("logs/lognet_iter_20.solverstate", "logs/lognet_iter_40.solverstate")


def start(*args: str) -> subprocess.Popen[str]:
    """A run without an end; returns once it trains."""
    text = Path("logs/solver.prototxt").read_text()
    text = re.sub(r"max_iter: \d+", f"max_iter: {NEVER}", text).replace("snapshot: 20", f"snapshot: {NEVER}")
    Path("endless.prototxt").write_text(text)
    command = [sys.executable, "-m", "caffe_compat.cli", "train", "--solver=endless.prototxt", *args]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    read_until(process, "Iteration 20 (")
    return process


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read the log up to a line that has these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"ended with {process.wait()} before {words!r}")


def test_ctrl_c_stops_after_a_snapshot(tree: Path) -> None:
    process = start()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=300)
    assert process.returncode == 0
    assert [line.split("] ")[1] for line in rest.splitlines()][-2:] == [
        "Optimization stopped early.",
        "Optimization Done.",
    ]
    (state,) = set(Path("logs").glob("lognet_iter_*.solverstate")) - set(map(Path, GOLDEN_STATES))
    assert read_state(state).iter > 20


def test_a_hangup_writes_a_snapshot_and_goes_on(tree: Path) -> None:
    process = start()
    process.send_signal(signal.SIGHUP)
    state = read_until(process, "Snapshotting solver state").split()[-1]
    read_until(process, "Iteration")
    process.kill()
    process.communicate()
    assert read_state(state).iter > 20


def test_effects_can_be_exchanged(tree: Path) -> None:
    process = start("-sigint_effect", "none", "-sighup_effect=stop")
    process.send_signal(signal.SIGINT)
    read_until(process, "Iteration")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=300)
    assert process.returncode == 0


def test_stages_and_level_reach_the_train_net(tree: Path, run: Run) -> None:
    net = Path("logs/net.prototxt").read_text()
    staged = 'layer { name: "extra" type: "Silence" bottom: "label" include { stage: "b" min_level: 2 } }'
    Path("logs/net.prototxt").write_text(net + staged)
    args = ("train", "--solver=logs/solver_debug.prototxt")
    assert "Creating Layer extra" in run(*args, "--stage=a,b", "--level=2").stderr
    assert "Creating Layer extra" not in run(*args, "--stage=a", "--level=2").stderr
    assert "Creating Layer extra" not in run(*args, "--stage=a,b", "--level=1").stderr


def test_several_weights_apply_in_their_order(tree: Path, run: Run) -> None:
    log = run(
        "test",
        "--model=logs/net.prototxt",
        "--weights=logs/lognet_iter_20.caffemodel,logs/lognet_iter_40.caffemodel",
        "--iterations=4",
    ).stderr
    assert "accuracy = 0.916667" in log and "Loss: 0.190549" in log
    args = ("train", "--solver=logs/solver_multistep.prototxt")
    log = run(*args, "--weights=logs/lognet_iter_20.caffemodel,logs/lognet_iter_40.caffemodel").stderr
    assert re.findall(r"Finetuning from (.*)", log)[:2] == [
        "logs/lognet_iter_20.caffemodel",
        "logs/lognet_iter_40.caffemodel",
    ]
    assert "Test loss: 0.190549" in log


def test_one_process_trains_on_one_gpu(tree: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    for ids in ("0,2", "all"):
        result = run("train", "--solver=logs/solver.prototxt", f"--gpu={ids}")
        assert str(result.exception).startswith(f"--gpu {ids}: one process trains on one GPU")
    assert run("train", "--solver=logs/solver.prototxt", "--gpu=0,x").exit_code == 2
    assert str(run("train", "--solver=logs/solver.prototxt", "-gpu", "3").exception).startswith("GPU 3: this machine")


def test_a_solver_for_the_gpu_needs_one(tree: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = Path("logs/solver.prototxt")
    path.write_text(path.read_text().replace("solver_mode: CPU", ""))
    assert str(run("train", f"--solver={path}").exception).startswith(f"{path}: solver_mode is GPU, as it is unless")


def test_errors_name_the_solvers_file(tree: Path, run: Run) -> None:
    path = Path("logs/solver.prototxt")
    path.write_text(path.read_text().replace('"step"', '"stairs"'))
    assert str(run("train", f"--solver={path}").exception).startswith(f"{path}: Unknown learning rate policy: 'stairs'")
