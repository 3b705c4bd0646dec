"""Learning rates, held against their formulas."""

from __future__ import annotations

import math

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from caffe_compat.solver.lr_policy import LrPolicy


def policy(**fields: object) -> LrPolicy:
    return LrPolicy(caffe_pb2.SolverParameter(base_lr=0.1, **fields), "s.prototxt")


@pytest.mark.parametrize(
    ("fields", "iteration", "expected"),
    [
        ({"lr_policy": "fixed"}, 1000, 0.1),
        ({"lr_policy": "step", "gamma": 0.5, "stepsize": 10}, 9, 0.1),
        ({"lr_policy": "step", "gamma": 0.5, "stepsize": 10}, 10, 0.05),
        ({"lr_policy": "step", "gamma": 0.5, "stepsize": 10}, 39, 0.0125),
        ({"lr_policy": "exp", "gamma": 0.9}, 7, 0.1 * 0.9**7),
        ({"lr_policy": "exp", "gamma": 10}, 5000, math.inf),
        ({"lr_policy": "inv", "gamma": 0.01, "power": 0.75}, 50, 0.1 * 1.5**-0.75),
        ({"lr_policy": "poly", "power": 2, "max_iter": 100}, 25, 0.1 * 0.75**2),
        ({"lr_policy": "poly", "power": 0.5, "max_iter": 100}, 100, 0.0),
        ({"lr_policy": "sigmoid", "gamma": 0.2, "stepsize": 10}, 10, 0.05),
        ({"lr_policy": "sigmoid", "gamma": 0.2, "stepsize": 10}, 20, 0.1 / (1 + math.exp(-2))),
    ],
)
def test_rate(fields: dict[str, object], iteration: int, expected: float) -> None:
    assert policy(**fields).rate(iteration) == pytest.approx(expected, rel=1e-6)


def test_step_counts_its_steps() -> None:
    step = policy(lr_policy="step", gamma=0.5, stepsize=10)
    step.rate(35)
    assert step.current_step == 3


def test_multistep_takes_one_step_an_iteration() -> None:
    multistep = policy(lr_policy="multistep", gamma=0.1, stepvalue=[3, 4])
    rates = [multistep.rate(i) for i in range(6)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.001, 0.001], rel=1e-6)
    late = policy(lr_policy="multistep", gamma=0.1, stepvalue=[3, 4])
    assert [late.rate(10), late.rate(11), late.rate(12)] == pytest.approx([0.01, 0.001, 0.001], rel=1e-6)


def test_multistep_goes_on_from_current_step() -> None:
    multistep = policy(lr_policy="multistep", gamma=0.1, stepvalue=[3, 4])
    multistep.current_step = 2
    assert multistep.rate(10) == pytest.approx(0.001, rel=1e-6)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"lr_policy": "stp"},
            "Unknown learning rate policy: 'stp'; known: fixed, step, exp, inv, multistep, poly, sigmoid",
        ),
        ({}, "Unknown learning rate policy: ''; known: fixed, step, exp, inv, multistep, poly, sigmoid"),
        ({"lr_policy": "step", "gamma": 0.1}, "lr_policy 'step' needs stepsize > 0, not 0"),
        ({"lr_policy": "sigmoid", "gamma": 0.1, "stepsize": -1}, "lr_policy 'sigmoid' needs stepsize > 0, not -1"),
        ({"lr_policy": "exp", "gamma": -0.5}, "lr_policy 'exp' needs gamma >= 0, not -0.5"),
    ],
)
def test_bad_fields(fields: dict[str, object], words: str) -> None:
    with pytest.raises(CaffeError) as caught:
        policy(**fields)
    assert str(caught.value) == f"s.prototxt: {words}"
