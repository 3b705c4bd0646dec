"""`yosinski bench`: each bench in little, its figures, and the file of ratios."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def figures(done: Any) -> dict[str, Any]:
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["machine"]["cores"] >= 1 and found["machine"]["versions"]["torch"]
    comparisons: dict[str, Any] = found["comparisons"]
    return comparisons


def test_net(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yosinski.bench.net.SGEMM_TIMES", 1)
    found = figures(run("bench", "net", "--size", "mini", "--rounds", 1, "--batch", 2, "--json", "-"))
    assert list(found) == ["net/mini", "net/mini-layers", "net/mini-frozen"]
    times = {name: of["median_s"] for name, of in found["net/mini"]["contenders"].items()}
    ratios = {name: of["value"] for name, of in found["net/mini"]["ratios"].items()}
    assert ratios["ours / bound"] == pytest.approx(times["ours"] / times["bound"])
    assert ratios["plain torch / ours"] == pytest.approx(times["plain torch"] / times["ours"])


def test_train_keeps_a_file_and_finds_what_became_slower(run, tmp_path: Path) -> None:
    ratios, samples = tmp_path / "ratios.json", tmp_path / "samples.json"
    small = ("bench", "train", "--size", "mini", "--rounds", 1, "--iterations", 5)
    done = run(*small, "--save", ratios, "--json", samples)
    assert done.code == 0, done.err
    assert "mini net from LMDB, 5 iterations of 64 images a round" in done.out
    made = json.loads(samples.read_text())["comparisons"]["train/mini"]
    plain = {"plain torch, 0 workers", "plain torch, 2 workers"}
    assert set(made["contenders"]) == {"ours", "ours, without data"} | plain
    assert made["contenders"]["ours"]["img_per_s"] == pytest.approx(320 / made["contenders"]["ours"]["median_s"])
    assert all(0 < made["facts"][f"loss, {name}"] < 100 for name in made["contenders"])
    before = json.loads(ratios.read_text())
    kept = before["cpu"]["ratios"]
    faster, share = "train/mini: plain torch / ours", "train/mini: ours, without data / ours"
    assert kept[faster] == {
        "value": pytest.approx(made["ratios"]["plain torch / ours"]["value"], abs=1e-4),
        "better": "higher",
    }
    # Far from what any machine measures, however much else it does meanwhile.
    kept[faster]["value"], kept[share]["value"] = 1000.0, 0.001
    ratios.write_text(json.dumps(before))
    done = run(*small, "--compare", ratios)
    assert done.code == 1
    assert "slower: train/mini: plain torch / ours: 1e+03 then, " in done.err
    assert done.err.endswith(f"1 of 2 ratios are worse than in {ratios} by more than 1.25\n")
    kept[faster]["value"] = 0.001
    ratios.write_text(json.dumps(before))
    done = run(*small, "--compare", ratios)
    assert done.code == 0 and "none of 2 ratios is worse" in done.err


def test_infer(run) -> None:
    pytest.importorskip("onnxruntime")
    found = figures(
        run("bench", "infer", "--size", "mini", "--images", 100, "--threads", 1, "--rounds", 1, "--json", "-")
    )
    made = found["infer/mini-1"]
    assert made["work"] == 100 and "Fashion-MNIST" in made["facts"]["images"]
    assert {"ours", "ours, reading alone", "onnxruntime"} <= set(made["contenders"])
    times = {name: of["median_s"] for name, of in made["contenders"].items()}
    assert made["ratios"]["onnxruntime / ours"]["value"] == pytest.approx(times["onnxruntime"] / times["ours"])
    faster = times["ours"] / times["ours, reading alone"]
    assert made["facts"]["ours, reading alone"] == f"{faster:.1f} times as fast as with the net"


def test_wrong_usage(run, tmp_path: Path) -> None:
    done = run("bench", "--rounds", 1, "train")
    assert done.code == 2 and "options go behind the name of the bench: yosinski bench train" in done.err
    (tmp_path / "x.json").write_text("[]")
    done = run("bench", "train", "--compare", tmp_path / "x.json")
    assert done.code == 1 and "not a file of `yosinski bench --save`" in done.err
