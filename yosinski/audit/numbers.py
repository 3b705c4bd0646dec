"""Top-1 and training loss of a run against those of the net that it answers to.

Two runs of the same net differ by chance, so a difference is held against the spread between runs. For the originals
that spread comes from ``pattern.py``; for runs against runs, from the runs of one net in the reference folder. A run is
at fault if its difference is greater than chance gives, with probability ``alpha`` over the whole audit. Passing means
no more than that: ``visible`` is the smallest true difference that would have been found with probability ``power``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import hypot, nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from yosinski.audit.finding import Finding
from yosinski.audit.pattern import Pattern, Spread, fit, t_quantile
from yosinski.audit.rules import Rules
from yosinski.audit.run import Role, Run
from yosinski.original import facts, logged

TITLES = {"top1": "top-1", "loss": "training loss"}


@dataclass(frozen=True)
class Reference:
    """What a number of the run is held against.

    Attributes:
        value: the number, or the mean over ``runs`` runs.
        error: standard error of ``value``; the spread of the run itself comes on top.
        what: where it comes from, for people.
        allowance: a difference that has a known cause and does not count.
    """

    value: float
    error: float
    spread: Spread
    what: str
    allowance: float = 0.0


def judge(check: str, ours: float, reference: Reference, rules: Rules, runs: int) -> Finding:
    """Hold one number against its reference, in an audit of ``runs`` runs."""
    values = {"ours": ours, "theirs": reference.value, "difference": ours - reference.value}
    if reference.spread.degrees < rules.least_degrees or not reference.spread.sd > 0:
        text = f"{TITLES[check]} {ours:.4f} against {reference.value:.4f}; nothing tells how far equal runs differ"
        return Finding(check, "undecided", text, values)
    error = hypot(reference.spread.sd, reference.error)
    t = t_quantile(1 - rules.alpha / (2 * runs * len(TITLES)), reference.spread.degrees)
    limit = t * error + reference.allowance
    visible = limit + NormalDist().inv_cdf(rules.power) * error
    values |= {"sd": error, "limit": limit, "visible": visible, "degrees": reference.spread.degrees}
    ok = abs(values["difference"]) <= limit
    relation = "within" if ok else "outside"
    text = (
        f"{TITLES[check]} {ours:.4f} against {reference.value:.4f} ({reference.what}): "
        f"{round(values['difference'], 4) + 0.0:+.4f}, {relation} ±{limit:.4f}"
    )
    if ok:
        text += f"; a true difference of {visible:.4f} or more would most likely show"
    return Finding(check, "pass" if ok else "fail", text, values)


def top1_statistic(tests: NDArray[np.void], at: int | None, best: int) -> float:
    """The paper's number, the mean of the ``best`` best tests; with ``at``, the mean of the last ``best`` up to there.

    nan where there are not that many, or where the last of them is not at ``at``.
    """
    if at is not None:
        tests = tests[tests["iteration"] <= at][-best:]
        if not len(tests) or tests["iteration"][-1] != at:
            return nan
        return float(tests["top1"].mean())
    return float(np.sort(tests["top1"])[-best:].mean()) if len(tests) >= best else nan


def loss_statistic(losses: NDArray[np.void], at: int, window: int) -> float:
    """Mean of the training losses displayed in the ``window`` iterations up to ``at``; nan if half of it is missing."""
    inside = losses[(losses["iteration"] > at - window) & (losses["iteration"] <= at)]
    if not len(inside) or inside["iteration"][0] > at - window / 2 or inside["iteration"][-1] < at - window / 10:
        return nan
    return float(inside["loss"].mean())


@lru_cache(maxsize=32)
def top1_pattern(at: int | None, best: int) -> Pattern:
    """The pattern of the originals' top-1."""
    return fit({net: top1_statistic(net.tests(), at, best) for net in logged()})


@lru_cache(maxsize=32)
def loss_pattern(at: int, window: int) -> Pattern:
    """The pattern of the originals' training loss."""
    return fit({net: loss_statistic(net.losses(), at, window) for net in logged()})


def against_original(run: Run, role: Role, rules: Rules, runs: int) -> list[Finding]:
    """Top-1 and training loss against the original net, or against the pattern where there is no such net or no log.

    An unfinished run is judged at the iteration where it is.
    """
    last = int(facts()["schedules"]["reduced" if role.family == "reduced" else "study"]["max_iter"])
    tested = run.log.tests["iteration"][run.log.tests["iteration"] % facts()["test_interval"] == 0]
    at = min(int(tested[-1]), last) if len(tested) else 0
    least = rules.least_iterations["whole" if role.half == "whole" else "half"]
    original = role.original if role.original is not None and role.original.has_log else None
    if original is not None and original.top1 < rules.learned_top1:
        text = f"the original did not learn, or hardly (top-1 {original.top1:.4f}): nothing can be held against it"
        return [Finding("top1", "undecided", text)]
    if at < least:
        text = f"at iteration {at}; judged from {least} on" if len(run.log.tests) else "no test in its log"
        return [Finding("top1", "undecided", text)]
    stage = None if at >= last else at
    ours = {
        "top1": top1_statistic(run.log.tests, stage, rules.best_tests),
        "loss": loss_statistic(run.log.losses, at, rules.loss_window),
    }
    patterns = {"top1": top1_pattern(stage, rules.best_tests), "loss": loss_pattern(at, rules.loss_window)}
    theirs = {"top1": nan, "loss": nan}
    if original is not None:
        theirs["top1"] = top1_statistic(original.tests(), stage, rules.best_tests)
        theirs["loss"] = loss_statistic(original.losses(), at, rules.loss_window)
    where = f"at iteration {at} of {last}" if stage else "to the end"
    found = []
    for check in ("top1", "loss"):
        if np.isnan(ours[check]):
            found.append(Finding(check, "undecided", f"the log has too little of its {TITLES[check]} {where}"))
            continue
        reference = _reference(check, theirs[check], patterns[check], role, rules, where)
        if reference is None:
            nothing = f"no original log, and no pattern for {role.family} on {role.half} {where}"
            found.append(Finding(check, "undecided", nothing))
        else:
            found.append(judge(check, ours[check], reference, rules, runs))
    return found


def against_runs(run: Run, others: list[Run], groups: list[list[Run]], rules: Rules, runs: int) -> list[Finding]:
    """Top-1 and training loss against other runs of the same net, at the last test that all of them have.

    Args:
        others: runs of the same net.
        groups: all reference runs, those of one net together; the spread is pooled over the groups of two and more.
    """
    common = set(run.log.tests["iteration"].tolist()).intersection(*(o.log.tests["iteration"].tolist() for o in others))
    at = max(common, default=0)
    if not at:
        return [Finding("top1", "undecided", "no test at an iteration at which all the reference runs were tested")]
    statistics = {
        "top1": lambda of: top1_statistic(of.log.tests[of.log.tests["iteration"] > 0], at, rules.best_tests),
        "loss": lambda of: loss_statistic(of.log.losses, at, max(at // 4, 1)),
    }
    found = []
    for check, value in statistics.items():
        ours, theirs = value(run), [v for v in map(value, others) if np.isfinite(v)]
        if np.isnan(ours) or not theirs:
            found.append(
                Finding(check, "undecided", f"the log has too little of its {TITLES[check]} at iteration {at}")
            )
            continue
        spread = pooled_spread([[v for v in map(value, group) if np.isfinite(v)] for group in groups])
        what = f"{len(theirs)} other run(s) at iteration {at}"
        reference = Reference(float(np.mean(theirs)), spread.sd / sqrt(len(theirs)), spread, what)
        found.append(judge(check, ours, reference, rules, runs))
    return found


def pooled_spread(groups: list[list[float]]) -> Spread:
    """The standard deviation within groups of equal runs; nan where no group has two."""
    squares = sum(float(((np.array(group) - np.mean(group)) ** 2).sum()) for group in groups if len(group) > 1)
    degrees = sum(len(group) - 1 for group in groups if len(group) > 1)
    return Spread(sqrt(squares / degrees) if degrees else nan, degrees, sum(map(len, groups)))


def _reference(check: str, theirs: float, pattern: Pattern, role: Role, rules: Rules, where: str) -> Reference | None:
    if np.isnan(theirs):
        expected = pattern.expect(role.family, role.spec.n, role.half)
        if expected is None:
            return None
        return Reference(*expected, pattern.spread, f"expected from the other nets, {where}")
    error, allowance = pattern.spread.sd, 0.0
    if check == "top1":
        allowance = rules.window_bias.get(role.spec.split or "", rules.window_bias.get(role.half, 0.0))
        missing, of = rules.missing_images.get(role.half, (0, 1))
        if missing:  # the runs are tested on them, the originals were not
            error = hypot(error, sqrt(theirs * (1 - theirs) / missing) * missing / of)
    return Reference(theirs, error, pattern.spread, f"original {where}", allowance)
