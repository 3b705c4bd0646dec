"""A session of training: from a run that is ready to start to its end, or to where it was stopped."""

from __future__ import annotations

import contextvars
import sys
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caffe_compat import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from caffe_compat.solver import Solver
    from caffe_compat.solver.pauses import Pauses
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


class Session:
    """The training of one net in its run directory, with exact snapshots.

    Args:
        device: a torch.device.
        keep: remove all but so many of the newest snapshots; None: keep all.
        bar: what ``progress.bars`` gives; None: no bar.
        log_before: print Caffe's log lines to stderr, too, each behind this; None: do not.
    """

    def __init__(
        self,
        training: Training,
        device: Any,
        *,
        keep: int | None = None,
        bar: Callable[..., None] | None = None,
        log_before: str | None = None,
    ) -> None:
        self.training, self.device, self.keep, self.bar, self.log_before = training, device, keep, bar, log_before
        self.solver: Solver | None = None

    def request(self, action: str) -> None:
        """Pass a request on to the solver. KeyboardInterrupt if there is nothing yet to stop."""
        if self.solver is not None:
            self.solver.request(action)
        elif action == "stop":
            interrupt.now()

    def work(self) -> Pauses[Outcome]:
        """All of it, in a ``contextvars.Context`` of its own. Pauses once all is ready, then as the solver does.

        Raises:
            CaffeError: see ``Training.opened`` and ``Solver``.
        """
        from caffe_compat import glog, parallel
        from caffe_compat.data import nvjpeg
        from yosinski import progress
        from yosinski.provenance import describe_file

        training, world = self.training, parallel.world()
        if training.decode == "nvjpeg":
            nvjpeg.check(self.device)
        world.meet()  # all have read what they need of the run directory, before one takes it over
        opened = training.opened(str(self.device)) if world.leads else nullcontext(training.run)
        with opened as run, ExitStack() as stack:
            if self.log_before is not None:
                stack.callback(glog.detach, glog.attach(sys.stderr, before=self.log_before))
            scores = stack.enter_context(progress.listening())
            self.solver = solver = self._ready(stack)
            yield
            glog.info("caffe.cpp:239", "Starting Optimization")
            if self.bar is not None:
                self.bar(solver, scores, run.name)
            yield from solver.solving()
            glog.info("caffe.cpp:250", "Optimization Done.")
            finished = solver.iter >= training.param.max_iter
            if world.leads:
                weights = run.newest_weights()
                run.end(
                    "finished" if finished else "interrupted",
                    solver.iter,
                    tested_at=scores.tested_at,
                    scores=scores.test,
                    weights=describe_file(weights) if weights else None,
                )
        return Outcome(solver.iter, finished, scores.top1 if scores.tested_at > 0 else None, scores.tested_at)

    def _ready(self, stack: ExitStack) -> Solver:
        """The solver where it is to begin; all that it is to be trained with lasts as long as ``stack``."""
        import torch

        from caffe_compat import glog, parallel, precision, rng
        from caffe_compat.compat import use
        from caffe_compat.data import held, nvjpeg
        from caffe_compat.solver import Solver
        from yosinski.device import say_device

        training, world = self.training, parallel.world()
        say_device(self.device, 197, 204)
        if world.size > 1:
            glog.info("parallel", f"Each batch is split over {world.size} processes")
        stack.enter_context(use(training.compat))
        stack.enter_context(precision.use(training.precision))
        places = {None: None, "host": torch.device("cpu"), "device": self.device}
        stack.enter_context(held.use(places[training.wish.hold]))
        stack.enter_context(nvjpeg.use(self.device if training.decode == "nvjpeg" else None))
        rng.set_data_seed(training.data_seed)
        solver = Solver(
            training.param,
            training.build_net,
            self.device,
            training.solver_path,
            exact=True,
            graphs=training.wish.graphs,
        )
        stack.callback(solver.close)
        if (keep := self.keep) and world.leads:
            stack.callback(training.run.prune, keep)
            solver.add_callback(lambda: prune(training, solver.iter, keep), lambda: None)
        if training.state:
            glog.info("caffe.cpp:235", f"Resuming from {training.state}")
            solver.restore(training.state, exact=training.exact)
        return solver


def train(training: Training, device: Any, *, quiet: bool = False, keep: int | None = None) -> Outcome:
    """Train one net; Ctrl-C or SIGTERM stops it with a snapshot, a hangup just writes one.

    With several processes a hangup stops it, too, since torchrun, which passes it on, ends by it.

    Args:
        device, keep: as of ``Session``.
        quiet: nothing on stderr; otherwise a bar if that is a terminal, Caffe's log lines if not.

    Raises:
        CaffeError: see ``Session.work``.
    """
    from caffe_compat import parallel
    from caffe_compat.solver.pauses import finish
    from caffe_compat.solver.signals import handle_signals
    from yosinski import progress

    world = parallel.world()
    with ExitStack() as stack:
        terminal, quiet = sys.stderr.isatty(), quiet or not world.leads
        bar = stack.enter_context(progress.bars()) if terminal and not quiet else None
        session = Session(training, device, keep=keep, bar=bar, log_before=None if terminal or quiet else "")
        sighup = "stop" if world.size > 1 else "snapshot"
        stack.enter_context(handle_signals(session, sighup=sighup, sigterm="stop"))
        return contextvars.copy_context().run(finish, session.work())
