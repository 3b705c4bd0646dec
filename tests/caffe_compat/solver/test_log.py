"""The log lines of solvers and their nets against those of the ``caffe`` tool (tests/golden/logs)."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from caffe_compat import glog
from caffe_compat.proto import read_solver
from caffe_compat.solver import Solver

GOLDEN = Path(__file__).parents[2] / "golden"
RUNS = {
    "train": {"solver": "solver"},
    "train_resume": {"solver": "solver_resume", "state": "logs/lognet_iter_20.solverstate"},
    "train_weights": {"solver": "solver_multistep", "weights": "logs/lognet_iter_40.caffemodel"},
    "train_debug_info": {"solver": "solver_debug"},
}
STUDY = {case["dir"]: case["weights"] for case in json.loads((GOLDEN / "pipeline" / "index.json").read_text())["cases"]}


def records(log: str) -> list[str]:
    """Their messages, each with its place in the sources and all its lines."""
    found = re.split(r"^[IWEF]\d{8} \d\d:\d\d:\d\d\.\d{6} +\d+ ", log, flags=re.M)
    found = [record.rstrip() for record in found if re.match(r"(net|(sgd_)?solver)\.cpp:", record)]
    return [re.sub(r"\(\S+ iter/s, \S+s/", "(… iter/s, …s/", record) for record in found]


def same(got: str, want: str) -> bool:
    """Equal but for the last digits of numbers."""
    words = list(zip(got.split(), want.split()))
    return len(got.split()) == len(want.split()) and all(a == b or close(a, b) for a, b in words)


def close(a: str, b: str) -> bool:
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-3)
    except ValueError:
        return False


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the runs read and write, below the current directory."""
    shutil.copytree(GOLDEN / "logs", tmp_path / "logs")
    shutil.copytree(GOLDEN / "solvers" / "data", tmp_path / "solvers" / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_lines(param: Any, state: str | None, expected: Path) -> None:
    """Train as the caffe tool did whose log is ``expected``."""
    param.train_state.level = 0  # the tool's --level and --stage
    param.train_state.stage.append("")
    log = io.StringIO()
    handler = glog.attach(log)
    try:
        solver = Solver(param)
        if state:
            solver.restore(state)
        solver.solve()
    finally:
        glog.detach(handler)
    got, want = records(log.getvalue()), records(expected.read_text())
    for mine, caffes in zip(got, want):
        assert same(mine, caffes), f"{mine!r}\n{caffes!r}"
    assert len(got) == len(want)


@pytest.mark.parametrize("name", RUNS)
def test_lines_are_those_of_the_caffe_tool(name: str, tree: Path) -> None:
    run: dict[str, Any] = RUNS[name]
    param = read_solver(f"logs/{run['solver']}.prototxt")
    param.weights.extend([run["weights"]] if "weights" in run else [])
    check_lines(param, run.get("state"), tree / "logs" / f"{name}.stderr.txt")


@pytest.mark.parametrize("name", STUDY)
def test_lines_of_the_study_in_small_from_leveldb(name: str, tree: Path) -> None:
    """V0 prototxts of 2014, their data in LevelDB, and transfer from the base network."""
    shutil.copytree(GOLDEN / "pipeline", tree / "pipeline")
    param = read_solver(f"pipeline/{name}/imagenet_solver.prototxt")
    param.weights.extend([STUDY[name]] if STUDY[name] else [])
    check_lines(param, None, tree / "pipeline" / name / "train.stderr.txt")
