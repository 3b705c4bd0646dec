"""Several nets trained in one process, in turn, from one stream of data; each comes out as it would alone.

They keep step: those that are behind go on first. What they need alike is made once: batches and decoded images
(``caffe_compat.data.stream``), and the forward of frozen layers (``caffe_compat.trunk``).
"""

from __future__ import annotations

import contextvars
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from caffe_compat.errors import CaffeError
from yosinski.session import Outcome, Session

if TYPE_CHECKING:
    from caffe_compat.trunk import Trunk
    from yosinski.training import Training


def train(
    trainings: Sequence[Training], device: Any, *, quiet: bool = False, keep: int | None = None
) -> list[Outcome | CaffeError]:
    """Train all nets; says of each how it ended. One that fails does not keep the others from going on.

    Ctrl-C or SIGTERM stops all, each with a snapshot; a hangup just writes them.

    Args:
        device, keep: as of ``Session``.
        quiet: nothing on stderr; otherwise a bar for each if that is a terminal, Caffe's log lines, each behind the
            name of its net, if not.

    Raises:
        CaffeError: two nets would train in the same directory.
        KeyboardInterrupt: at the second Ctrl-C.
    """
    from caffe_compat.data import stream
    from caffe_compat.solver.signals import handle_signals
    from yosinski import progress

    _check_places(trainings)
    with ExitStack() as stack:
        terminal = sys.stderr.isatty()
        bar = stack.enter_context(progress.bars()) if terminal and not quiet else None
        stack.enter_context(stream.shared())
        trunk: Trunk = {}
        nets = []
        for training in trainings:
            before = None if terminal or quiet else f"{training.run.name}: "
            net = _Net(Session(training, device, keep=keep, bar=bar, log_before=before))
            nets.append(net)
            if _may_write_anywhere(training):
                net.context.run(stream.separate)
            elif len(trainings) > 1 and not training.wish.graphs:  # a recorded pass finds its blobs where they were
                training.trunk = trunk
        stack.enter_context(handle_signals(_All(nets), sigterm="stop"))
        try:
            while going := [net for net in nets if net.end is None]:
                first = min(net.iteration for net in going)
                for net in going:
                    if net.iteration == first:
                        net.go_on()
        except BaseException:
            for net in nets:
                net.interrupt()
            raise
    return [net.end for net in nets if net.end is not None]


def _check_places(trainings: Sequence[Training]) -> None:
    places = [training.run.path.absolute() for training in trainings]
    for training, place in zip(trainings, places):
        if places.count(place) > 1:
            raise CaffeError(f"{training.run.path}: two of the nets would train here; they need names of their own")


def _may_write_anywhere(training: Training) -> bool:
    """Whether a net has a layer of the user's own, which may change what others would get, too."""
    return any(layer.type == "Python" for net in training.nets.values() for layer in net.layer)


class _Net:
    """A session with all that makes it independent of the others.

    That is a context of its own, in which log, compatibility and random streams are its own, and a state of the GPU's
    generator.

    Attributes:
        context: a contextvars.Context.
        end: how it ended; None: it goes on.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.end: Outcome | CaffeError | None = None
        self._work = session.work()
        self.context = contextvars.copy_context()
        self.context.run(_begin)
        self._generator = self._generator_state()

    @property
    def iteration(self) -> int:
        """Updates done; -1 before all is ready, so that all begin together."""
        return -1 if self.session.solver is None else self.session.solver.iter

    def go_on(self) -> None:
        """Go on to the next pause."""
        import torch

        if self._generator is not None:
            torch.cuda.set_rng_state(self._generator, self.session.device)
        try:
            self.context.run(next, self._work)
        except StopIteration as done:
            self.end = done.value
        except CaffeError as error:
            self.end = error
        except OSError as error:
            self.end = CaffeError(str(error))
        self._generator = self._generator_state()

    def interrupt(self) -> None:
        """End as by a second Ctrl-C."""
        with suppress(KeyboardInterrupt, StopIteration):
            self.context.run(self._work.throw, KeyboardInterrupt())

    def _generator_state(self) -> Any:
        import torch

        device = self.session.device
        return torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _begin() -> None:
    from caffe_compat import glog, libc_rand, rng

    glog.separate()
    libc_rand.begin_anew()
    rng.set_random_seed(int.from_bytes(os.urandom(4), "little"))  # unless the solver says otherwise


class _All:
    """Passes signals on to all nets."""

    def __init__(self, nets: Sequence[_Net]) -> None:
        self.nets = nets

    def request(self, action: str) -> None:
        for net in self.nets:
            if net.end is None:
                net.session.request(action)
