"""`yosinski train --decode`: noted, gone on with, and refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.data import nvjpeg
from yosinski.run_dir import RunDir
from yosinski.training import Training, Wish

TRAIN = ("train", "logs/solver.prototxt", "--device", "cpu", "--max-iter", 1, "--out")


def test_without_a_gpu(run, golden_copy: Path) -> None:
    before = sorted(golden_copy.rglob("*"))
    wrong = run(*TRAIN, "r", "--decode", "nvjpeg")
    assert (wrong.code, wrong.err) == (1, "yosinski: nvjpeg: it decodes on a GPU, and the device is cpu\n")
    assert sorted(golden_copy.rglob("*")) == before


def test_a_run_goes_on_as_it_was_begun(run, golden_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvjpeg, "check", lambda device: None)  # records that are no JPEGs need no GPU
    begun = run(*TRAIN, "r", "--decode", "nvjpeg")
    assert begun.code == 0 and begun.err.count("not for nvJPEG; such records are read on the host") == 2
    again = run("train", "r", "--resume", "--device", "cpu", "--max-iter", 2)
    assert again.code == 0 and "not for nvJPEG" in again.err
    assert RunDir(Path("r")).meta["decode"] == "nvjpeg"
    assert Training(Wish(Path("r"), resume=True, decode="opencv")).decode == "opencv"
    held = run("train", "r", "--resume", "--device", "cpu", "--max-iter", 3, "--hold", "host")
    assert held.code == 1
    assert held.err == "yosinski: --hold host: what is held OpenCV decodes; this run has it from nvJPEG\n"

    assert run(*TRAIN, "plain").code == 0
    assert RunDir(Path("plain")).meta["decode"] == "opencv"
    weights = [Path(name).glob("*_iter_1.caffemodel*") for name in ("r", "plain")]
    one, two = (next(found).read_bytes() for found in weights)
    assert one == two
