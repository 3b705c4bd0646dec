"""A session of training: from a run that is ready to start to its end, or to where it was stopped."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yosinski.training import Training


@dataclass(frozen=True)
class Outcome:
    """How a session ended: ``iterations`` in all, and the newest top-1, None if the net has none or was not tested."""

    iterations: int
    finished: bool
    top1: float | None
    tested_at: int


def prune(training: Training, iteration: int, keep: int) -> None:
    """Remove older snapshots, if there may be a new one."""
    if training.param.snapshot and iteration % training.param.snapshot == 0:
        training.run.prune(keep)


def train(training: Training, device: Any, *, quiet: bool = False, keep: int | None = None) -> Outcome:
    """Train in the run directory, with exact snapshots; Ctrl-C stops it with one, a hangup just writes one.

    Args:
        device: a torch.device.
        quiet: nothing on stderr; otherwise a bar if that is a terminal, Caffe's log lines if not.
        keep: remove all but so many of the newest snapshots; None: keep all.

    Raises:
        CaffeError: see ``Training.opened`` and ``Solver``.
    """
    import torch

    from caffe_compat import glog
    from caffe_compat.compat import use
    from caffe_compat.solver import Solver
    from caffe_compat.solver.signals import handle_signals
    from yosinski import progress
    from yosinski.cli.options import say_device
    from yosinski.run_dir import describe_file

    with training.opened(str(device)) as run, ExitStack() as stack:
        if device.type == "cuda":
            torch.backends.cudnn.deterministic = True  # otherwise no two runs are the same, let alone a resumed one
        terminal = sys.stderr.isatty()
        if not terminal and not quiet:
            stack.callback(glog.detach, glog.attach(sys.stderr))
        scores = stack.enter_context(progress.listening())
        say_device(device, 197, 204)
        stack.enter_context(use(training.compat))
        solver = Solver(training.param, net_class=training.build_net, device=device, exact=True)
        stack.enter_context(handle_signals(solver))
        if keep:
            stack.callback(run.prune, keep)
            solver.add_callback(lambda: prune(training, solver.iter, keep), lambda: None)
        if training.state:
            glog.info("caffe.cpp:235", f"Resuming from {training.state}")
            solver.restore(training.state, exact=training.exact)
        glog.info("caffe.cpp:239", "Starting Optimization")
        if terminal and not quiet:
            stack.enter_context(progress.bar(solver, scores, run.name))
        solver.solve()
        glog.info("caffe.cpp:250", "Optimization Done.")
        finished = solver.iter >= training.param.max_iter
        weights = run.newest_weights()
        run.end(
            "finished" if finished else "interrupted",
            solver.iter,
            tested_at=scores.tested_at,
            scores=scores.test,
            weights=describe_file(weights) if weights else None,
        )
    return Outcome(solver.iter, finished, scores.top1 if scores.tested_at > 0 else None, scores.tested_at)
