"""The learning rate of an iteration: Caffe's seven policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from caffe_compat import glog
from caffe_compat.errors import CaffeError


class LrPolicy:
    """The schedule that a SolverParameter asks for.

    ``current_step`` counts the steps of "step" and "multistep" so far; it is part of the solver state, because
    "multistep" goes on from it instead of counting afresh.
    """

    def __init__(self, param: Any, source: str = "solver") -> None:
        """``param``: a SolverParameter; ``source`` names it in errors. Raises CaffeError for unusable fields."""
        self.param = param
        self.source = source
        self.current_step = 0
        name = param.lr_policy
        if name not in _POLICIES:
            self._fail(f"Unknown learning rate policy: {name!r}; known: {', '.join(_POLICIES)}")
        self._rate = _POLICIES[name]
        if name in ("step", "sigmoid") and param.stepsize <= 0:
            self._fail(f"lr_policy {name!r} needs stepsize > 0, not {param.stepsize}")
        if name not in ("fixed", "poly") and param.gamma < 0:
            self._fail(f"lr_policy {name!r} needs gamma >= 0, not {param.gamma:g}")

    def rate(self, iteration: int) -> float:
        """The rate for the update that follows ``iteration`` completed ones: a float32 value, as Caffe holds it."""
        with np.errstate(all="ignore"):  # powers overflow to inf, and poly past max_iter is nan, without a word
            return float(np.float32(np.float64(self.param.base_lr) * self._rate(self, iteration)))

    def _fail(self, message: str) -> NoReturn:
        raise CaffeError(f"{self.source}: {message}")


def _fixed(policy: LrPolicy, iteration: int) -> float:
    return 1.0


def _step(policy: LrPolicy, iteration: int) -> float:
    policy.current_step = iteration // policy.param.stepsize
    return np.float64(policy.param.gamma) ** policy.current_step


def _exp(policy: LrPolicy, iteration: int) -> float:
    return np.float64(policy.param.gamma) ** iteration


def _inv(policy: LrPolicy, iteration: int) -> float:
    base = np.float32(1) + np.float32(policy.param.gamma) * np.float32(iteration)
    return _powf(base, -policy.param.power)


def _multistep(policy: LrPolicy, iteration: int) -> float:
    """At most one step an iteration, so a state resumed under other stepvalues catches up one by one."""
    values = policy.param.stepvalue
    if policy.current_step < len(values) and iteration >= values[policy.current_step]:
        policy.current_step += 1
        glog.info("sgd_solver.cpp:50", f"MultiStep Status: Iteration {iteration}, step = {policy.current_step}")
    return np.float64(policy.param.gamma) ** policy.current_step


def _poly(policy: LrPolicy, iteration: int) -> float:
    done = np.float32(iteration) / np.float32(policy.param.max_iter)
    return _powf(np.float32(1) - done, policy.param.power)


def _sigmoid(policy: LrPolicy, iteration: int) -> float:
    late = np.float32(iteration) - np.float32(policy.param.stepsize)
    return float(np.float32(1) / (np.float32(1) + np.exp(-np.float32(policy.param.gamma) * late)))


def _powf(base: np.float32, exponent: float) -> float:
    """C's powf. Caffe takes a power in float32 if the exponent is a float, in float64 if it is an integer."""
    return float(np.float32(np.float64(base) ** exponent))


_POLICIES: dict[str, Callable[[LrPolicy, int], float]] = {
    "fixed": _fixed,
    "step": _step,
    "exp": _exp,
    "inv": _inv,
    "multistep": _multistep,
    "poly": _poly,
    "sigmoid": _sigmoid,
}
