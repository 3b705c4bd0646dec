"""Rounds, medians, ratios."""

from __future__ import annotations

import pytest

from yosinski.bench.comparison import LOWER, Comparison, Ratio, Reported, interleave, spread
from yosinski.bench.show import figure, show, verdict


@pytest.fixture
def made() -> Comparison:
    """The third round was slow for both."""
    return Comparison(
        "net/x",
        "two nets",
        {"ours": [1.0, 1.2, 9.0], "plain torch": [2.0, 1.8, 18.0]},
        work=60,
        ratios=(Ratio("plain torch", "ours", goal=1.4), Ratio("ours", "plain torch", LOWER, goal=0.3)),
        facts={"sgemm GFLOP/s": 218.0},
    )


def test_ratios_are_medians_of_those_within_a_round(made: Comparison) -> None:
    faster, share = made.ratios
    assert made.value(faster) == 2.0 and made.value(share) == 0.5
    assert made.rate("ours") == 50  # by the median time
    assert (verdict(made, faster), verdict(made, share)) == (
        "2.00 (goal: at least 1.4)",
        "0.50 (goal: at most 0.3; missed)",
    )


def test_json_has_every_sample_and_figure(made: Comparison) -> None:
    found = made.to_json()
    assert found["contenders"]["ours"] == {
        "median_s": 1.2,
        "quartiles_s": [1.1, 5.1],
        "seconds": [1.0, 1.2, 9.0],
        "img_per_s": 50,
    }
    assert found["ratios"]["plain torch / ours"] == {"value": 2.0, "better": "higher", "goal": 1.4}
    assert found["facts"] == {"sgemm GFLOP/s": 218.0}


def test_shown(made: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    show(made)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split() for line in lines[1:4]] == [
        ["median", "quartiles", "img/s"],
        ["ours", "1.20", "s", "1.10", "..", "5.10", "50.0"],
        ["plain", "torch", "2.00", "s", "1.90", "..", "10.0", "30.0"],
    ]
    assert lines[4:] == [
        "  plain torch / ours: 2.00 (goal: at least 1.4)",
        "  ours / plain torch: 0.50 (goal: at most 0.3; missed)",
        "  sgemm GFLOP/s: 218",
        "",
    ]


def test_contenders_take_turns() -> None:
    order: list[str] = []
    told: list[tuple[str, int, int]] = []
    runs = {"a": lambda: order.append("a"), "b": Reported(lambda: order.append("b") or 0.25)}
    samples = interleave("it", runs, 2, warm_up=1, progress=lambda *what: told.append(what), wait=None)
    assert order == ["a", "b"] * 3
    order.clear()
    three = {name: lambda name=name: order.append(name) for name in "abc"}
    interleave("it", three, 2, warm_up=0, settle=True)
    assert "".join(order) == "aabbcc" * 2
    assert samples["b"] == [0.25, 0.25] and len(samples["a"]) == 2 and all(0 < took < 10 for took in samples["a"])
    assert told == [("it", 1, 3), ("it", 2, 3), ("it", 3, 3)]


def test_the_device_is_waited_for() -> None:
    waited: list[str] = []
    interleave("it", {"a": lambda: None}, 2, warm_up=0, wait=lambda: waited.append("x"))
    assert len(waited) == 2


def test_spread_and_figures() -> None:
    assert spread([3.0]) == (3.0, 3.0) and spread([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 4.0)
    assert [figure(value) for value in (0.678, 12.34, 99.96, 1234.5)] == ["0.68", "12.3", "100.0", "1,234"]
