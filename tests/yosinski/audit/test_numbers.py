"""Verdicts on top-1 and training loss, and what a single run can and cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from yosinski.audit import numbers
from yosinski.audit.finding import Finding
from yosinski.audit.pattern import Spread
from yosinski.audit.rules import Rules
from yosinski.audit.run import Run
from yosinski.audit.runs import Audited, joint
from yosinski.original import find_net


def judged(as_log, rules: Rules, name: str, runs: int = 1, **changes: float) -> dict[str, Finding]:
    run = Run(as_log(name, **changes))
    assert run.role is not None
    return {finding.check: finding for finding in numbers.against_original(run, run.role, rules, runs)}


def test_an_original_passes_its_own_audit(as_log, rules: Rules) -> None:
    found = judged(as_log, rules, "transfer0A0B_1_4")
    assert {check: finding.verdict for check, finding in found.items()} == {"top1": "pass", "loss": "pass"}
    assert found["top1"].values["ours"] == pytest.approx(0.611448, abs=1e-6)
    assert found["top1"].values["difference"] == pytest.approx(0, abs=1e-6)


def test_the_limit_is_that_of_two_runs(as_log, rules: Rules) -> None:
    """t(76, 99.75 %) * sqrt(2) * 0.0022; to see a difference with 80 % it must be 0.84 standard errors larger."""
    values = judged(as_log, rules, "half0A")["top1"].values
    assert values["limit"] == pytest.approx(2.8886 * np.sqrt(2) * 0.0021724, rel=1e-3)
    assert values["visible"] == pytest.approx(values["limit"] + 0.8416 * np.sqrt(2) * 0.0021724, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "runs", "verdict"),
    [(0.005, 1, "pass"), (-0.0095, 1, "fail"), (0.0095, 1, "fail"), (0.0095, 148, "pass")],
)
def test_a_difference_of_top1(as_log, rules: Rules, change: float, runs: int, verdict: str) -> None:
    """One of 148 nets may differ more by chance than one that was chosen beforehand."""
    assert judged(as_log, rules, "half2B", runs, top1=change)["top1"].verdict == verdict


def test_a_difference_of_training_loss(as_log, rules: Rules) -> None:
    found = judged(as_log, rules, "half2B", loss=0.04)
    assert (found["top1"].verdict, found["loss"].verdict) == ("pass", "fail")


@pytest.mark.parametrize(("change", "verdict"), [(0.0, "pass"), (0.007, "pass"), (0.02, "fail")])
def test_an_unfinished_run_is_judged_at_its_iteration(as_log, rules: Rules, change: float, verdict: str) -> None:
    found = judged(as_log, rules, "half1A", upto=60_000, top1=change)["top1"]
    assert found.verdict == verdict
    assert "at iteration 60000 of 450000" in found.text
    original = find_net("half1A").tests()
    assert found.values["theirs"] == pytest.approx(original["top1"][50:60].mean())
    assert found.values["sd"] > np.sqrt(2) * 0.0025  # the spread is larger in the middle of training


def test_too_early_to_judge(as_log, rules: Rules) -> None:
    assert judged(as_log, rules, "half1A", upto=9_000)["top1"].verdict == "undecided"
    assert judged(as_log, rules, "netbase", upto=40_000)["top1"].verdict == "undecided"


def test_a_dead_original_judges_nothing(as_log, rules: Rules) -> None:
    found = judged(as_log, rules, "nolearn_1_3", top1=0.3)
    assert found["top1"].verdict == "undecided"
    assert "did not learn" in found["top1"].text


def test_the_moving_test_window_is_allowed_for(as_log, rules: Rules) -> None:
    half, whole, natman = (judged(as_log, rules, name)["top1"].values for name in ("half0A", "netbase", "halfnatmanA"))
    assert natman["limit"] == pytest.approx(half["limit"] + 0.0015)
    assert half["limit"] + 0.0015 < whole["limit"] < half["limit"] + 0.0020  # 2,000 images were not tested on


def test_a_net_whose_log_is_lost_is_held_against_the_pattern(as_log, rules: Rules, tmp_path) -> None:
    """transfer-ft1A1B_1_5 left no log; a run with the numbers of another split's net passes or not by the pattern."""
    folder = as_log("transfer-ft0A0B_1_5")
    run = Run(folder.rename(tmp_path / "transfer-ft1A1B_1_5"))
    assert run.role is not None
    top1 = next(f for f in numbers.against_original(run, run.role, rules, 1) if f.check == "top1")
    assert "expected from the other nets" in top1.text
    assert top1.values["theirs"] == pytest.approx(0.6326, abs=1e-4)
    assert top1.verdict == "fail"  # half 1B is 1.2 points harder


def test_runs_against_runs_need_a_spread(rules: Rules) -> None:
    nothing = numbers.Reference(0.9, float("nan"), Spread(float("nan"), 0, 1), "1 other run")
    assert numbers.judge("top1", 0.1, nothing, rules, 1).verdict == "undecided"
    spread = numbers.pooled_spread([[0.9, 0.91, 0.92], [0.5, 0.52], [0.3]])
    assert (spread.degrees, spread.nets) == (3, 6)
    assert spread.sd == pytest.approx(np.sqrt((2e-4 + 2e-4) / 3))


def with_difference(difference: float, cluster: str) -> Audited:
    finding = Finding("top1", "pass", "", {"difference": difference, "sd": 0.003, "degrees": 76})
    return Audited(cluster, cluster, [finding], cluster=cluster)  # type: ignore[arg-type]


def test_small_differences_of_one_sign_show_together(rules: Rules) -> None:
    """Each of 28 nets half a point low is within its limit; all together from 8 bases are not."""
    clusters = [f"{split}{half}" for split in "0123" for half in "AB"]
    low = [with_difference(-0.005, cluster) for cluster in clusters * 3]
    found = joint(low, rules)
    assert found.verdict == "fail"
    assert found.values["limit"] == pytest.approx(2.6421 * 0.003 / np.sqrt(8), rel=1e-3)
    mixed = [with_difference(sign * 0.005, cluster) for sign, cluster in zip([1, -1] * 12, clusters * 3, strict=True)]
    assert joint(mixed, rules).verdict == "pass"
    assert joint(low[:1], rules).verdict == "undecided"
