"""The inputs of the golden logs below the current directory, and the program to run on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from caffe_compat.cli.commands import caffe


@pytest.fixture
def tree(tmp_path: Path, golden: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the commands of tests/golden/logs read and write."""
    shutil.copytree(golden / "logs", tmp_path / "logs")
    shutil.copytree(golden / "solvers" / "data", tmp_path / "solvers" / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run() -> Callable[..., Result]:
    """``run("test", "--iterations=2", ...)``: the program, in this process."""
    return lambda *args: CliRunner().invoke(caffe, args)
