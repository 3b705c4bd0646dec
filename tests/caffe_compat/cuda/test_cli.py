"""The ``caffe`` program with -gpu."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from caffe_compat.cli.commands import caffe
from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db

MODEL, WEIGHTS = "logs/net.prototxt", "logs/lognet_iter_20.caffemodel"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, golden: Path, monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    """The current directory, with the nets and the data of the golden logs."""
    for part in ("logs", "solvers/data"):
        shutil.copytree(golden / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(caffe, arguments)
    if result.exception:
        raise result.exception
    return result.output


def test_scores_are_the_cpus() -> None:
    found = []
    for more in ([], ["-gpu", "0"]):
        text = run("test", "-model", MODEL, "-weights", WEIGHTS, "-iterations", "3", *more)
        found.append([float(value) for value in re.findall(r"(?:Loss:|=) ([\d.]+)", text)])
    assert len(found[0]) > 6
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_training_and_times() -> None:
    assert "Optimization Done." in run("train", "-solver", "logs/solver.prototxt", "-gpu", "0")
    assert Path("logs/lognet_iter_40.solverstate").stat().st_size > 0
    text = run("time", "-model", MODEL, "-iterations", "2", "-gpu", "0")
    assert re.search(r"conv1\s+backward: [\d.]+ ms", text)


def test_features_are_the_cpus() -> None:
    values = []
    for name, mode in (("cpu", ["CPU"]), ("gpu", ["GPU", "0"])):
        run("extract_features", WEIGHTS, MODEL, "fc1", name, "2", "lmdb", *mode)
        with open_db(name) as db:
            values.append([parse(record).image(-1) for _, record in db.records()])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-4, atol=1e-5)
