"""Update rules against their formulas, written out in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from caffe_compat.solver.update import update_rule

RATE, DECAY, STEPS = 0.05, 0.01, 4
Array = np.ndarray


def sgd(w: Array, g: Array, h: list[Array], p: Any, t: int) -> Array:
    h[0][:] = p.momentum * h[0] + RATE * g
    return h[0].copy()


def nesterov(w: Array, g: Array, h: list[Array], p: Any, t: int) -> Array:
    old = h[0].copy()
    h[0][:] = p.momentum * h[0] + RATE * g
    return (1 + p.momentum) * h[0] - p.momentum * old


def adagrad(w: Array, g: Array, h: list[Array], p: Any, t: int) -> Array:
    h[0][:] += g * g
    return RATE * g / (np.sqrt(h[0]) + p.delta)


def rmsprop(w: Array, g: Array, h: list[Array], p: Any, t: int) -> Array:
    h[0][:] = p.rms_decay * h[0] + (1 - p.rms_decay) * g * g
    return RATE * g / (np.sqrt(h[0]) + p.delta)


def adadelta(w: Array, g: Array, h: list[Array], p: Any, t: int) -> Array:
    h[0][:] = p.momentum * h[0] + (1 - p.momentum) * g * g
    u = g * np.sqrt((h[1] + p.delta) / (h[0] + p.delta))
    h[1][:] = p.momentum * h[1] + (1 - p.momentum) * u * u
    return RATE * u


def adam(w: Array, g: Array, h: list[Array], p: Any, t: int) -> Array:
    h[0][:] = p.momentum * h[0] + (1 - p.momentum) * g
    h[1][:] = p.momentum2 * h[1] + (1 - p.momentum2) * g * g
    rate = RATE * np.sqrt(1 - p.momentum2 ** (t + 1)) / (1 - p.momentum ** (t + 1))
    return rate * h[0] / (np.sqrt(h[1]) + p.delta)


RULES: list[tuple[str, Callable[..., Array], dict[str, float]]] = [
    ("SGD", sgd, {"momentum": 0.9}),
    ("SGD", sgd, {}),
    ("Nesterov", nesterov, {"momentum": 0.9}),
    ("AdaGrad", adagrad, {"delta": 1e-4}),
    ("RMSProp", rmsprop, {"rms_decay": 0.9, "delta": 1e-4}),
    ("AdaDelta", adadelta, {"momentum": 0.95, "delta": 1e-6}),
    ("Adam", adam, {"momentum": 0.9, "momentum2": 0.99}),
]


@pytest.mark.parametrize("regularization", ["L1", "L2"])
@pytest.mark.parametrize(("name", "formula", "fields"), RULES)
def test_rule(name: str, formula: Callable[..., Array], fields: dict[str, float], regularization: str) -> None:
    param = caffe_pb2.SolverParameter(type=name, regularization_type=regularization, **fields)
    rule = update_rule(param)
    draw = np.random.RandomState(3)
    weights = torch.from_numpy(draw.randn(3, 4).astype(np.float32))
    history = [torch.zeros(3, 4) for _ in range(rule.histories)]
    w, h = weights.numpy().astype(np.float64), [np.zeros((3, 4)) for _ in history]
    for t in range(STEPS):
        gradient = draw.randn(3, 4).astype(np.float32)
        diff = torch.from_numpy(gradient.copy())
        rule.begin(t)
        rule.apply([(weights, diff, history)], RATE, DECAY)
        step = formula(w, gradient + DECAY * (w if regularization == "L2" else np.sign(w)), h, param, t)
        w = w - step
        np.testing.assert_allclose(weights.numpy(), w, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(diff.numpy(), step, rtol=1e-4, atol=1e-6)  # diffs hold the update
        for got, want in zip(history, h):
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("odd", ["weights", "diff", "history"])
def test_tensors_that_lie_otherwise_in_memory(odd: str) -> None:
    tensors = {name: torch.arange(12.0).view(3, 4) for name in ("weights", "diff", "history")}
    tensors[odd] = tensors[odd].t().contiguous().t()
    rule = update_rule(caffe_pb2.SolverParameter(momentum=0.5))
    rule.apply([(tensors["weights"], tensors["diff"], [tensors["history"]])], 0.25, 0.0)
    assert torch.equal(tensors["history"], torch.arange(12.0).view(3, 4) * 0.75)
    assert torch.equal(tensors["weights"], torch.arange(12.0).view(3, 4) * 0.25)


def test_together_as_alone() -> None:
    """Parameters of one rate are updated by one call of a kernel; one of them lies otherwise in memory."""
    rule = update_rule(caffe_pb2.SolverParameter(momentum=0.9))
    draw = torch.Generator().manual_seed(1)

    def params() -> list[tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]]:
        draw.manual_seed(1)
        rows = [[torch.randn(shape, generator=draw) for _ in range(3)] for shape in [(5, 7), (4, 3), (9,)]]
        rows[1][1] = rows[1][1].t().contiguous().t()
        return [(weights, diff, [history]) for weights, diff, history in rows]

    together, alone = params(), params()
    rule.apply(together, 0.1, 0.01)
    for one in alone:
        rule.apply([one], 0.1, 0.01)
    for (weights, diff, history), (its_weights, its_diff, its_history) in zip(together, alone, strict=True):
        assert torch.equal(weights, its_weights) and torch.equal(history[0], its_history[0])
        assert torch.equal(diff, history[0]) and torch.equal(its_diff, its_history[0])


def test_momentum_outlives_a_drop_of_the_rate() -> None:
    """The rate lies inside the history: what was gathered at 1.0 goes on at 0.001 with its old size."""
    rule = update_rule(caffe_pb2.SolverParameter(momentum=0.9))
    weights, history = torch.zeros(1), [torch.zeros(1)]
    rule.apply([(weights, torch.ones(1), history)], 1.0, 0.0)
    rule.apply([(weights, torch.ones(1), history)], 0.001, 0.0)
    assert history[0].item() == pytest.approx(0.901)
    assert weights.item() == pytest.approx(-1.901)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "Sgd"}, "Unknown solver type: 'Sgd'; known: AdaDelta, AdaGrad, Adam, Nesterov, RMSProp, SGD"),
        ({"regularization_type": "L3", "weight_decay": 1}, "Unknown regularization type: 'L3'; known: L1, L2"),
        ({"type": "AdaGrad", "momentum": 0.5}, "Momentum cannot be used with AdaGrad; momentum is 0.5"),
        ({"type": "RMSProp", "momentum": 0.5}, "Momentum cannot be used with RMSProp; momentum is 0.5"),
        ({"type": "RMSProp", "rms_decay": 1}, "rms_decay should lie between 0 and 1; it is 1"),
        ({"type": "Adam", "momentum2": 1}, "Adam needs momentum2 in [0, 1), not 1"),
    ],
)
def test_bad_fields(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(CaffeError) as caught:
        update_rule(caffe_pb2.SolverParameter(**fields), "s.prototxt")
    assert str(caught.value) == f"s.prototxt: {words}"
