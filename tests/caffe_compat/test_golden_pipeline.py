"""A small transfer study as BVLC Caffe 1.0 trained it: V0 prototxts, LevelDB, base, frozen and fine-tuned nets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import caffe_compat as caffe

pytest.importorskip("plyvel", reason="plyvel is not installed")

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "pipeline" / "index.json").read_text())["cases"]}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, since snapshots go beside the prototxts."""
    shutil.copytree(GOLDEN / "pipeline", tmp_path / "pipeline")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_training_follows_caffe_step_by_step(name: str, study: Path, agree: Callable[..., None]) -> None:
    case = CASES[name]
    with np.load(f"pipeline/{case['dir']}/golden.npz") as file:
        arrays = dict(file)
    solver = caffe.get_solver(f"pipeline/{case['dir']}/imagenet_solver.prototxt")
    net = solver.net
    assert list(net._layer_names) == case["layer_names"]

    def check_params(prefix: str, rtol: float) -> None:
        for key in [key for key in arrays if key.startswith(prefix + "|")]:
            _, layer, index = key.split("|")
            agree(key, net.params[layer][int(index)].data, arrays[key], {}, rtol)

    check_params("constructed", 0)
    if case["weights"]:
        net.copy_from(case["weights"])
    check_params("init", 0)
    losses = []
    for k in range(case["iters"]):
        solver.step(1)
        losses.append(float(net.blobs["(automatic)"].data))
        check_params(f"iter{k + 1}", 1e-4)
        if f"label_it{k}" in arrays:
            agree("label", net.blobs["label"].data, arrays[f"label_it{k}"], {}, 0)
            agree("row 33 of the data", net.blobs["data"].data[:, :, 33, :], arrays[f"data_row_it{k}"], {}, 0)
    agree("losses", losses, arrays["raw_loss"], case, 1e-4)
    check_params("final", 1e-4)
