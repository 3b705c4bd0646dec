"""One update of a whole net: clipping, accumulation, multipliers, frozen parameters."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch

from caffe_compat import glog
from caffe_compat.errors import CaffeError
from caffe_compat.solver import Solver

from .. import own_lines

Tiny = Callable[..., Solver]


def set_gradients(solver: Solver, value: float) -> None:
    for learnable in solver.net.learnable:
        learnable.parameter.grad = torch.full_like(learnable.parameter, value) if learnable.lr_mult else None


def weights(solver: Solver) -> dict[str, np.ndarray]:
    return {f"{p.layer}{p.index}": p.parameter.detach().numpy().copy() for p in solver.net.learnable}


def test_multipliers_apply_to_rate_and_decay(tiny: Tiny) -> None:
    solver = tiny()
    before = weights(solver)
    set_gradients(solver, 1.0)
    solver.apply_update()
    after = weights(solver)
    assert solver.iter == 1
    np.testing.assert_allclose(after["fc10"], before["fc10"] - 0.1 * (1 + 0.001 * before["fc10"]), rtol=1e-5)
    np.testing.assert_allclose(after["fc11"], before["fc11"] - 0.2, rtol=1e-5)  # lr_mult 2, decay_mult 0


def test_a_frozen_parameter_costs_nothing_and_stays(tiny: Tiny) -> None:
    """lr_mult 0 with decay: the rate lies inside the history, so not even weight decay moves it."""
    solver = tiny()
    before = weights(solver)
    solver.step(3)
    frozen = next(p for p in solver.net.learnable if p.lr_mult == 0)
    assert frozen.parameter.grad is None
    np.testing.assert_array_equal(weights(solver)["fc21"], before["fc21"])
    assert not solver.optimizer.history[3].any()


@pytest.mark.parametrize(("kind", "moves"), [("SGD", False), ("AdaGrad", True)])
def test_squares_of_weight_decay_count_where_nothing_learns(tiny: Tiny, kind: str, moves: bool) -> None:
    """Caffe adds decay to the gradient before the rule squares it, whatever the rate."""
    solver = tiny(f'type: "{kind}" momentum: {0.9 if kind == "SGD" else 0} weight_decay: 0.5')
    frozen = next(p for p in solver.net.learnable if p.lr_mult == 0)
    frozen.parameter.data.fill_(2.0)
    solver.optimizer.update(0)
    assert bool(solver.optimizer.history[3].any()) == moves
    assert (frozen.parameter == 2.0).all()


@pytest.mark.parametrize(("kind", "squares"), [("SGD", 0), ("AdaGrad", 1)])
def test_gradients_that_force_backward_makes_count_where_nothing_learns(tiny: Tiny, kind: str, squares: int) -> None:
    """They are part of Caffe's histories; afterwards diffs hold the update, which is zero."""
    solver = tiny(f'type: "{kind}" momentum: 0 weight_decay: 0 net_param {{ force_backward: true }}')
    frozen = next(p for p in solver.net.learnable if p.lr_mult == 0).parameter
    gradient, before = [], frozen.detach().clone()
    solver.add_callback(lambda: None, lambda: gradient.append(frozen.grad.clone()))
    solver.step(1)
    assert gradient[0].any()
    assert torch.equal(solver.optimizer.history[3], squares * gradient[0].square())
    assert torch.equal(frozen, before) and not frozen.grad.any()


def test_momentum_from_a_state_moves_a_frozen_parameter(tiny: Tiny) -> None:
    """A net frozen after a resume coasts on, as in Caffe."""
    solver = tiny()
    solver.optimizer.load_history([np.ones(p.parameter.shape, np.float32) for p in solver.net.learnable])
    before = weights(solver)
    set_gradients(solver, 0.0)
    solver.apply_update()
    np.testing.assert_allclose(weights(solver)["fc21"], before["fc21"] - 0.9, rtol=1e-5)


def test_no_gradient_means_zero_gradient(tiny: Tiny) -> None:
    solver = tiny()
    before = weights(solver)
    solver.optimizer.update(0)
    np.testing.assert_allclose(weights(solver)["fc10"], before["fc10"] * (1 - 0.1 * 0.001), rtol=1e-6)


def test_clipping_acts_on_the_sum_over_iter_size(tiny: Tiny) -> None:
    solver = tiny("clip_gradients: 3 iter_size: 2 weight_decay: 0 momentum: 0")
    before = weights(solver)
    set_gradients(solver, 1.0)
    norm = float(np.sqrt(sum(p.parameter.numel() for p in solver.net.learnable if p.lr_mult)))
    log = io.StringIO()
    handler = own_lines.attach(log)
    solver.apply_update()
    glog.detach(handler)
    np.testing.assert_allclose(weights(solver)["fc10"], before["fc10"] - 0.1 * (3 / norm) / 2, rtol=1e-5)
    line = f"Gradient clipping: scaling down gradients (L2 norm {norm:g} > 3) by scale factor {3 / norm:g}"
    assert log.getvalue().endswith(f"sgd_solver.cpp:99] {line}\n")


@pytest.mark.parametrize("limit", [100, -1])
def test_small_gradients_are_not_clipped(tiny: Tiny, limit: int) -> None:
    solver = tiny(f"clip_gradients: {limit} weight_decay: 0 momentum: 0")
    before = weights(solver)
    set_gradients(solver, 1.0)
    solver.apply_update()
    np.testing.assert_allclose(weights(solver)["fc10"], before["fc10"] - 0.1, rtol=1e-5)


def test_old_states_pad_shapes_with_ones(tiny: Tiny) -> None:
    solver = tiny()
    shapes = [(1, 1, 4, 5), (1, 1, 1, 4), (1, 1, 3, 4), (1, 1, 1, 3)]
    arrays = [np.full(shape, i, np.float32) for i, shape in enumerate(shapes)]
    solver.optimizer.check_history(arrays)
    solver.optimizer.load_history(arrays)
    assert [tuple(h.shape) for h in solver.optimizer.history] == [(4, 5), (4,), (3, 4), (3,)]
    assert [h.flatten()[0].item() for h in solver.optimizer.history] == [0, 1, 2, 3]


def test_a_foreign_history_is_refused(tiny: Tiny) -> None:
    solver = tiny()
    arrays = [np.zeros(p.parameter.shape, np.float32) for p in solver.net.learnable]
    with pytest.raises(CaffeError, match=r"^Incorrect length of history blobs: 3; 4 parameters with SGD need 4$"):
        solver.optimizer.check_history(arrays[:3])
    words = r"^history 2 has the shape \[4, 3\]; parameter 0 of layer 'fc2' has \[3, 4\]$"
    with pytest.raises(CaffeError, match=words):
        solver.optimizer.check_history([*arrays[:2], arrays[2].T, arrays[3]])
