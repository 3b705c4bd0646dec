"""The hours of the presets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from yosinski.bench.nets import MINI
from yosinski.bench.study import hours
from yosinski.study.plan import make_plan
from yosinski.study.presets import find_preset
from yosinski.study.status import duration


def test_hours_follow_from_the_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where a measured speed is remembered
    made = hours(MINI, 1, torch.device("cpu"))
    assert set(made.facts) == {"preset mini", "preset tiny"}
    plan = make_plan(find_preset("mini"))
    whole = plan.images / made.rate("training")
    expected = f"{len(plan.nets)} nets, {duration(whole / len(plan.nets))} each, {duration(whole)} in all"
    assert made.facts["preset mini"] == expected
