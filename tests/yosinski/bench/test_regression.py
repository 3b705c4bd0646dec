"""The file of ratios, and what became slower."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffe_compat.errors import CaffeError
from yosinski.bench import regression
from yosinski.bench.comparison import LOWER, Comparison, Ratio


def comparison(ours: float, name: str = "net/x") -> Comparison:
    samples = {"ours": [ours], "plain torch": [2.0], "bound": [1.0]}
    return Comparison(name, "", samples, ratios=(Ratio("plain torch", "ours"), Ratio("ours", "bound", LOWER)))


def test_a_slow_down_is_found_whichever_way_a_ratio_counts(tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    regression.save(file, "cpu", {"cores": 2}, [comparison(1.0)])
    changes = regression.compare(file, "cpu", [comparison(1.5)])
    assert [(change.name, change.then, change.now) for change in changes] == [
        ("net/x: plain torch / ours", 2.0, 1.3333),
        ("net/x: ours / bound", 1.0, 1.5),
    ]
    assert [change.slower for change in changes] == pytest.approx([1.5, 1.5], rel=1e-3)
    assert max(change.slower for change in regression.compare(file, "cpu", [comparison(0.8)])) < 1


def test_other_benches_and_devices_stay_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    regression.save(file, "cpu", {}, [comparison(1.0, "net/a")])
    regression.save(file, "cuda", {"device": "GPU"}, [comparison(0.1, "net/a")])
    regression.save(file, "cpu", {}, [comparison(0.5, "net/b")])
    ratios = regression.read(file)
    assert {name: ratio["value"] for name, ratio in ratios["cpu"]["ratios"].items()} == {
        "net/a: ours / bound": 1.0,
        "net/a: plain torch / ours": 2.0,
        "net/b: ours / bound": 0.5,
        "net/b: plain torch / ours": 4.0,
    }
    assert ratios["cuda"]["machine"] == {"device": "GPU"}


@pytest.mark.parametrize("text", ["{", "[]", '{"cpu": {}}', json.dumps({"cpu": {"ratios": {"a": {"value": 0}}}})])
def test_another_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ratios.json"
    file.write_text(text)
    with pytest.raises(CaffeError, match=r"ratios.json: not a file of `yosinski bench --save`: "):
        regression.read(file)


def test_nothing_in_common_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    regression.save(file, "cpu", {}, [comparison(1.0)])
    with pytest.raises(CaffeError, match="nothing of what was measured on cuda"):
        regression.compare(file, "cuda", [comparison(1.0)])
    with pytest.raises(CaffeError, match="No such file"):
        regression.compare(tmp_path / "other.json", "cpu", [comparison(1.0)])
