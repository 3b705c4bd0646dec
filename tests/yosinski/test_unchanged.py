"""A run that was begun goes on with the definitions and data that it was begun with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from caffe_compat.errors import CaffeError
from yosinski import session
from yosinski.run_dir import RunDir
from yosinski.training import Training, Wish


@pytest.fixture
def begun(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: data and definitions of Caffe's golden run, and ``run``, stopped after 20 iterations."""
    import torch

    monkeypatch.chdir(tmp_path)
    shutil.copytree(golden / "logs", "logs")
    shutil.copytree(golden / "solvers" / "data", "solvers/data")
    session.train(training(resume=False, max_iter=20), torch.device("cpu"), quiet=True)
    return tmp_path


def training(resume: bool = True, max_iter: int = 25, prototxt: str = "logs/solver.prototxt", **more: bool) -> Training:
    return Training(Wish(Path(prototxt), out=Path("run"), resume=resume, max_iter=max_iter, **more))


def replace(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert re.search(old, text)
    Path(file).write_text(re.sub(old, new, text, count=1))


def refused(match: str, prototxt: str = "logs/solver.prototxt") -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("run").iterdir()}
    with pytest.raises(CaffeError, match=match) as error:
        training(prototxt=prototxt)
    assert "\n" not in str(error.value) and str(error.value).endswith("put it back, or --force starts over")
    assert before == {path: path.stat().st_mtime_ns for path in Path("run").iterdir()}


def test_what_is_the_same_goes_on(begun: Path) -> None:
    assert str(training().state) == "run/run_iter_20.solverstate"
    replace("logs/solver.prototxt", r"display: \d+", "display: 7")  # how loud is nobody's business
    Path("logs/net.prototxt").write_text("# a comment\n" + Path("logs/net.prototxt").read_text())
    assert training().exact
    assert not training(as_caffe=True).exact


def test_a_changed_net(begun: Path) -> None:
    replace("logs/net.prototxt", r"lr_mult: 2", "lr_mult: 3")
    refused(r"^logs/net.prototxt: has changed since run was begun, at layer '\w+'; ")


def test_a_changed_net_in_the_run_itself(begun: Path) -> None:
    replace("run/net.prototxt", r"lr_mult: 2", "lr_mult: 3")
    refused(r"^run/net.prototxt: has changed since run was begun; ", prototxt="run")


def test_a_changed_solver(begun: Path) -> None:
    replace("logs/solver.prototxt", r"base_lr: \S+", "base_lr: 0.02")
    refused("^run: the solver has changed since this run was begun; ")


def test_other_data(begun: Path) -> None:
    replace_data = next(Path("solvers/data").glob("**/data.mdb"))
    with replace_data.open("ab") as file:
        file.write(bytes(4096))
    refused(f"^{replace_data.parent}: has changed since run was begun; ")


def test_without_the_exact_file(begun: Path) -> None:
    for path in RunDir(Path("run")).snapshots("exact"):
        path.unlink()
    with pytest.raises(CaffeError, match=r"run_iter_20.exact.* missing; --resume-as-caffe goes on without it$"):
        training()
    assert training(as_caffe=True).state == Path("run/run_iter_20.solverstate")
