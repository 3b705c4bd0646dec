"""From gradients to new weights: one update of all of a net's parameters (Caffe's SGDSolver::ApplyUpdate)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caffe_compat import glog
from caffe_compat.blob import settle
from caffe_compat.errors import CaffeError
from caffe_compat.solver.lr_policy import LrPolicy
from caffe_compat.solver.update import Param, update_rule


class Optimizer:
    """The update rule, the learning rate and the history of a solver.

    ``history`` is in the order of a ``.solverstate``: for a rule with two tensors a parameter, first the first one of
    every parameter, then the second ones.
    """

    def __init__(self, param: Any, net: Any, source: str = "solver") -> None:
        """``param``: a SolverParameter; ``net``: has the parameters. Raises CaffeError for unusable fields."""
        self.param, self.net = param, net
        self.policy = LrPolicy(param, source)
        self.rule = update_rule(param, source)
        if param.iter_size < 1:
            raise CaffeError(f"{source}: iter_size should be at least 1; it is {param.iter_size}")
        weights = [learnable.parameter.data for learnable in net.learnable]
        self.history: list[Tensor] = [torch.zeros_like(w) for _ in range(self.rule.histories) for w in weights]
        self._settle()

    def check_history(self, arrays: list[np.ndarray]) -> None:
        """Raise CaffeError if the history of a solver state is that of another net or of another rule."""
        if len(arrays) != len(self.history):
            need = f"{len(self.net.learnable)} parameters with {self.param.type} need {len(self.history)}"
            raise CaffeError(f"Incorrect length of history blobs: {len(arrays)}; {need}")
        for i, (mine, array) in enumerate(zip(self.history, arrays)):
            if _without_leading_ones(mine.shape) != _without_leading_ones(array.shape):
                owner = self.net.learnable[i % len(self.net.learnable)]
                place = f"parameter {owner.index} of layer {owner.layer!r}"
                raise CaffeError(f"history {i} has the shape {list(array.shape)}; {place} has {list(mine.shape)}")

    def load_history(self, arrays: list[np.ndarray]) -> None:
        """Go on from the history of a solver state, which has passed ``check_history``."""
        for mine, array in zip(self.history, arrays):
            mine.copy_(torch.tensor(array).view(mine.shape))
        self._settle()

    def to(self, device: torch.device) -> None:
        """Follow the net to another device."""
        if any(tensor.device != device for tensor in self.history[:1]):
            self.history = [tensor.to(device) for tensor in self.history]
            self._settle()

    def _settle(self) -> None:
        """Find the parameters that no update can change while they get no gradient: frozen ones, which cost nothing.

        Nothing moves, neither weights nor history, if the rate is 0 and the history is zero. For the rules that keep
        squares of gradients weight decay must be off too: it is a gradient, and Caffe counts it.
        """
        self._params = []
        for i, learnable in enumerate(self.net.learnable):
            history = self.history[i :: len(self.net.learnable)]
            decays = self.param.weight_decay * learnable.decay_mult != 0
            frozen = learnable.lr_mult == 0 and (self.rule.rate_in_history or not decays)
            self._params.append((learnable, history, frozen and not any(h.any() for h in history)))

    @torch.no_grad()
    def update(self, iteration: int, shown_as: int | None = None) -> None:
        """Apply the accumulated gradients; afterwards the diffs hold what was subtracted from the weights.

        Args:
            iteration: the one whose rate counts: the number of updates done before this one.
            shown_as: print the rate, as that of this iteration.
        """
        rate = self.policy.rate(iteration)
        if shown_as is not None:
            glog.info("sgd_solver.cpp:112", f"Iteration {shown_as}, lr = {rate:g}")
        settle()
        self._clip()
        self.rule.begin(iteration)
        groups: dict[tuple[float, float], list[Param]] = {}
        for learnable, history, frozen in self._params:
            weights = learnable.parameter.data
            if learnable.parameter.grad is None:
                if frozen:
                    continue
                learnable.parameter.grad = torch.zeros_like(weights)
            diff = learnable.parameter.grad
            if self.param.iter_size > 1:
                diff.mul_(1 / self.param.iter_size)
            multipliers = (learnable.lr_mult, learnable.decay_mult)
            groups.setdefault(multipliers, []).append((weights, diff, history))
        for (lr_mult, decay_mult), params in groups.items():
            self.rule.apply(params, rate * lr_mult, self.param.weight_decay * decay_mult)

    def _clip(self) -> None:
        """Scale all gradients down if their common L2 norm is too large. The norm is of the sum over iter_size."""
        limit = self.param.clip_gradients
        if limit < 0:
            return
        diffs = [p.grad for p in (learnable.parameter for learnable in self.net.learnable) if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(diffs)) if diffs else 0.0
        if norm > limit:
            scale = float(np.float32(limit) / np.float32(norm))
            glog.info(
                "sgd_solver.cpp:99",
                f"Gradient clipping: scaling down gradients (L2 norm {norm:g} > {limit:g}) by scale factor {scale:g}",
            )
            for diff in diffs:
                diff.mul_(scale)


def _without_leading_ones(shape: Sequence[int]) -> list[int]:
    """Old states give every blob four axes, missing ones being 1."""
    sizes = list(shape)
    while sizes[:1] == [1]:
        del sizes[0]
    return sizes
