"""Audit run directories, each against its original net or against other runs of the same net."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path

import numpy as np

from caffe_compat.errors import CaffeError
from yosinski.audit import evidence, numbers, order, recipe
from yosinski.audit.finding import Finding, Verdict, overall
from yosinski.audit.pattern import t_quantile
from yosinski.audit.rules import Rules
from yosinski.audit.run import Run
from yosinski.logs import Problem


@dataclass(frozen=True)
class Audited:
    """One run and what the checks found.

    Attributes:
        path: of the run directory.
        reference: the original net, or the net whose other runs it was held against; empty if there is none.
        run: None if it could not be read; the findings say why.
        cluster: the base net that it goes back to, by split; nets of one cluster are not independent.
    """

    path: Path
    reference: str
    findings: list[Finding]
    run: Run | None = None
    cluster: str = ""
    problems: Sequence[Problem] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        return overall(self.findings)

    def finding(self, check: str) -> Finding | None:
        return next((finding for finding in self.findings if finding.check == check), None)


def audit_originals(
    paths: Sequence[Path], rules: Rules, split: str | None = None, stream: bool = False
) -> list[Audited]:
    """Hold each run against its original net. A run that cannot be read fails, and does not stop the others."""
    return [_guarded(path, lambda path: _against_original(path, rules, split, stream, len(paths))) for path in paths]


def audit_runs(paths: Sequence[Path], against: Path, rules: Rules, stream: bool = False) -> list[Audited]:
    """Hold each run against the runs of the same net below ``against``, itself excepted."""
    reference = [Run(log.parent) for log in sorted(against.rglob("train.log"))]
    if not reference:
        raise CaffeError(f"--against {against}: no run directory in it")
    return [_guarded(path, lambda path: _against_runs(path, reference, rules, stream, len(paths))) for path in paths]


def joint(audited: Sequence[Audited], rules: Rules) -> Finding:
    """Whether the runs lie above or below their originals on average: many small differences of one sign show here.

    Nets that go back to one base net count as one, since its luck is theirs. Nets whose number has a known bias are
    left out.
    """
    clusters: dict[str, list[float]] = {}
    errors, degrees = [], []
    for one in audited:
        top1 = one.finding("top1")
        if one.cluster and top1 is not None and "sd" in top1.values:
            clusters.setdefault(one.cluster, []).append(top1.values["difference"])
            errors.append(top1.values["sd"])
            degrees.append(int(top1.values["degrees"]))
    if len(clusters) < 2:
        return Finding("joint", "undecided", "fewer than two independent base nets: no common difference can be told")
    mean = float(np.mean([np.mean(group) for group in clusters.values()]))
    limit = t_quantile(1 - rules.alpha / 2, min(degrees)) * max(errors) / sqrt(len(clusters))
    text = f"mean difference of top-1 {mean:+.4f} over {len(errors)} runs from {len(clusters)} bases"
    ok = abs(mean) <= limit
    values = {"difference": mean, "limit": limit, "runs": len(errors), "bases": len(clusters)}
    return Finding("joint", "pass" if ok else "fail", f"{text}, {'within' if ok else 'outside'} ±{limit:.4f}", values)


def _against_original(path: Path, rules: Rules, split: str | None, stream: bool, runs: int) -> Audited:
    run = Run(path, split)
    role = run.role
    if role is None:
        text = f"{run.name} is no net of the study, or on no known split: --split says which"
        return Audited(path, "", [Finding("top1", "undecided", text)], run, problems=run.log.problems)
    found = numbers.against_original(run, role, rules, runs)
    found.append(evidence.check_rate(run, role.original, None))
    if run.definition is not None:
        net, solver = recipe.expected_definition(role.spec)
        found.append(recipe.check_recipe(run, net, solver, rules, with_sources=False))
        found.append(evidence.check_weights(run, recipe.frozen_layers(net)))
    if stream:
        found.append(order.against_original(run, role, rules.stream))
    biased = role.half == "whole" or role.spec.split in rules.window_bias
    cluster = "" if biased else f"{role.spec.split}{role.spec.base}"
    return Audited(path, role.name, found, run, cluster, run.log.problems)


def _against_runs(path: Path, reference: list[Run], rules: Rules, stream: bool, runs: int) -> Audited:
    run = Run(path)
    others = [other for other in reference if other.name == run.name and not other.path.samefile(path)]
    if not others:
        text = f"no other run of {run.name} to hold it against"
        return Audited(path, "", [Finding("top1", "undecided", text)], run, problems=run.log.problems)
    groups: dict[str, list[Run]] = {}
    for other in reference:
        if not other.path.samefile(path):
            groups.setdefault(other.name, []).append(other)
    first = others[0]
    found = numbers.against_runs(run, others, list(groups.values()), rules, runs)
    found.append(evidence.check_rate(run, None, first))
    found.append(evidence.check_inputs(run, first))
    if first.definition is not None:
        frozen = recipe.frozen_layers(first.definition)
        found.append(recipe.check_recipe(run, first.definition, first.solver, rules, with_sources=True))
        found.append(evidence.check_weights(run, frozen, first))
    if stream:
        found.append(order.against_run(run, first, rules.stream))
    return Audited(path, run.name, found, run, problems=run.log.problems)


def _guarded(path: Path, audit: Callable[[Path], Audited]) -> Audited:
    try:
        return audit(path)
    except CaffeError as error:
        return Audited(path, "", [Finding("run", "fail", str(error))])
