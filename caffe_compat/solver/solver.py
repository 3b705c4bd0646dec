"""The training loop."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caffe_compat import compat, glog, parallel, rng
from caffe_compat.errors import CaffeError
from caffe_compat.host_memory import reuse_blobs
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.net import Net
from caffe_compat.proto import read_solver
from caffe_compat.proto.text import format as format_text
from caffe_compat.recorded_pass import RecordedPass
from caffe_compat.solver import display, exact_state, nets, snapshot
from caffe_compat.solver.loss import SmoothedLoss
from caffe_compat.solver.optimizer import Optimizer
from caffe_compat.solver.pauses import Pauses, finish
from caffe_compat.solver.testing import scoring

ACTIONS = ("stop", "snapshot")


class Solver:
    """Trains a net as Caffe 1.0 does: same order of events, same arithmetic, same files, same log.

    What takes long comes in two forms: ``solve`` and ``step`` do it all, ``solving`` and ``stepping`` pause after each
    iteration and each batch of a test, so that several solvers can train in turn.

    Args:
        param: a solver prototxt, or a SolverParameter.
        net_class: makes a net from a NetParameter whose state is filled in and ``source``, its file if there is one.
        device: where the nets compute; None leaves them where ``net_class`` puts them.
        source: the file that a SolverParameter was read from, for error messages.
        exact: keep beside each snapshot what Caffe forgets, and go on from it, so that a run that was stopped ends as
            one that was not, to the bit, on the same device.
        graphs: on a GPU, record each pass as one CUDA graph, see ``RecordedPass``; changes no number.

    Attributes:
        param: the SolverParameter.
        net: the net that is trained.
        test_nets: the nets that are tested. They have weights of their own until the first test, as in Caffe.
        iter: number of updates done.
        world: the processes that train together, each with its part of every batch.

    Raises:
        CaffeError: the definition of the solver or of a net is wrong; one line.
    """

    def __init__(
        self,
        param: str | os.PathLike[str] | Any,
        net_class: Callable[..., Net] = Net,
        device: torch.device | str | None = None,
        source: str | os.PathLike[str] = "solver",
        exact: bool = False,
        graphs: bool = False,
    ) -> None:
        self.source = os.fspath(param if isinstance(param, (str, os.PathLike)) else source)
        self.param = read_solver(self.source) if isinstance(param, (str, os.PathLike)) else param
        self.compat, self.world, self.exact = compat.active(), parallel.world(), exact
        self._net_class, self._device = net_class, device
        reuse_blobs()
        glog.info("solver.cpp:45", f"Initializing solver from parameters: \n{format_text(self.param).rstrip()}")
        if self.param.average_loss < 1:
            raise CaffeError(f"{self.source}: average_loss should be at least 1; it is {self.param.average_loss}")
        snapshot.check_prefix(self.param, self.source)
        if self.param.random_seed >= 0:
            rng.set_random_seed(self.param.random_seed)
        self.net = self._create(nets.train_net(self.param, self.source), "training")
        self.test_nets = [self._create(net, "test") for net in nets.test_nets(self.param, self.source)]
        for test_net in self.test_nets:
            test_net.debug_info = self.param.debug_info
        self._split_pass = parallel.SplitPass(self.net) if self.world.size > 1 else None
        if graphs and (self.net.device.type != "cuda" or self._split_pass):
            here = f"here {self.world.size} on a {self.net.device.type} device"
            raise CaffeError(f"{self.source}: CUDA graphs are for one process with a GPU; {here}")
        self._pass: Callable[[], Tensor] = RecordedPass(self.net) if graphs else self.net.forward_backward
        self.optimizer = Optimizer(self.param, self.net, self.source)
        self.iter = 0
        self._requests: deque[str] = deque()
        self._stopped = self._restored = self._exactly = False
        self._before_test: exact_state.State | None = None  # where an unfinished test has to begin anew
        self._callbacks: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self.smoothed = SmoothedLoss(self.param.average_loss)
        glog.info("solver.cpp:57", "Solver scaffolding done.")

    def _create(self, source: nets.NetSource, kind: str) -> Net:
        """Build a net; the ``weights`` that the solver names go into train and test nets alike."""
        glog.info(f"solver.cpp:{source.line}", f"Creating {kind} net {source.description}")
        net = self._net_class(source.param, source=source.path)
        parallel.check(net)
        if self._device is not None:
            net.to(self._device)
        for path in (name.strip() for names in self.param.weights for name in names.split(",")):
            glog.info("solver.cpp:72", f"Finetuning from {path}")
            net.copy_from(path)
        return net

    # Training

    def solve(self, resume_file: str | os.PathLike[str] | None = None) -> None:
        """Train up to max_iter, then show the loss of one more batch and test, where the last iteration is due."""
        finish(self.solving(resume_file))

    def step(self, iterations: int) -> None:
        """Train for a number of iterations, with the tests, lines and snapshots that fall due."""
        finish(self.stepping(iterations))

    def solving(self, resume_file: str | os.PathLike[str] | None = None) -> Pauses[None]:
        """``solve``, with pauses."""
        glog.info("solver.cpp:289", f"Solving {self.net.name}")
        glog.info("solver.cpp:290", f"Learning Rate Policy: {self.param.lr_policy}")
        if resume_file is not None:
            glog.info("solver.cpp:296", f"Restoring previous solver status from {os.fspath(resume_file)}")
            self.restore(resume_file)
        self.world.check_alike(self.net)
        yield from self.stepping(self.param.max_iter - self.iter)
        if self.param.snapshot_after_train and not self._due(self.param.snapshot):
            self.snapshot()
        if self._stopped:
            glog.info("solver.cpp:311", "Optimization stopped early.")
            return
        if self._due(self.param.display) and not self.compat.log_2014:
            self.smoothed.add(self.world.mean(self.net.forward_layers()))
            glog.info("solver.cpp:327", f"Iteration {self.iter}, loss = {self.smoothed.value:g}")
        if self._due(self.param.test_interval):
            yield from self._testing_all()
        glog.info("solver.cpp:332", "Optimization Done.")

    def stepping(self, iterations: int) -> Pauses[None]:
        """``step``, with pauses."""
        param = self.param
        if not self._exactly:
            self.smoothed = SmoothedLoss(param.average_loss)
        self._exactly = False
        self._restart_timer()
        self._stopped = False
        stop = self.iter + iterations
        while self.iter < stop:
            self.net.clear_param_diffs()
            if self.iter == 0 and self.compat.snapshot_at_0 and not self._restored:
                self.snapshot()
            if self._due(param.test_interval) and (self.iter or self._tests_at_0):
                yield from self._testing_all()
                if self._stopped:
                    return
            for on_start, _ in self._callbacks:
                on_start()
            self.net.debug_info = param.debug_info and self._due(param.display)
            self.smoothed.add(self._forward_backward())
            if self._due(param.display) and not self.compat.log_2014:
                self._display()
            for _, on_gradients in self._callbacks:
                on_gradients()
            self.apply_update()
            request = self._next_request()
            if request == "snapshot" or self._due(param.snapshot):
                self.snapshot()
            if request == "stop":
                self._stopped = True
                return
            yield

    def _due(self, interval: int) -> bool:
        """Whether something done every so many iterations falls on this one; an interval of 0 means never."""
        return interval != 0 and self.iter % interval == 0

    def _forward_backward(self) -> Tensor:
        """The mean loss over the iter_size batches of an iteration; gradients add up in the parameters."""
        last = self._split_pass or self._pass
        first, *others = [self._pass] * (self.param.iter_size - 1) + [last]
        loss = first()
        for one in others:
            loss = loss + one()
        return self.world.mean(loss / self.param.iter_size)

    def apply_update(self) -> None:
        """Change the weights by the gradients at hand, and count the iteration."""
        if not self.compat.log_2014:
            self._update(self.iter if self._due(self.param.display) else None)
        elif self.param.display and (self.iter + 1) % self.param.display == 0:
            self._update(self.iter + 1)
            glog.info("solver.cpp:74", f"Iteration {self.iter}, loss = {self.smoothed.value:g}")
        else:
            self._update(None)

    def _update(self, shown_as: int | None) -> None:
        """``shown_as``: the iteration in the line that says the rate, None for no line."""
        self.optimizer.update(self.iter + self.compat.lr_counts_from_1, shown_as)
        self.iter += 1

    def _restart_timer(self) -> None:
        self._started, self._shown = time.perf_counter(), self.iter

    def _display(self) -> None:
        loss = self.smoothed.value  # fetching it waits for the device, so it comes before the clock is read
        seconds = time.perf_counter() - self._started
        speed = f"{(self.iter - self._shown) / seconds:g} iter/s, {seconds:g}s/{self.param.display} iters"
        glog.info("solver.cpp:239", f"Iteration {self.iter} ({speed}), loss = {loss:g}")
        values = {name: blob.tensor for name, blob in self.net.output_blobs.items()}
        for line in display.outputs(self.net, self.world.outputs(self.net, values), "Train"):
            glog.info("solver.cpp:258", line)
        self._restart_timer()

    def add_callback(self, on_start: Callable[[], None], on_gradients: Callable[[], None]) -> None:
        """Call ``on_start`` before each iteration's passes and ``on_gradients`` between them and the update."""
        self._callbacks.append((on_start, on_gradients))

    def request(self, action: str) -> None:
        """Ask a running solver to "stop" or to write a "snapshot" once the iteration is done. For signal handlers."""
        if action not in ACTIONS:
            raise ValueError(f"action {action!r}; known: {', '.join(ACTIONS)}")
        self._requests.append(action)

    def _next_request(self) -> str | None:
        """The oldest request that has not been served. All processes serve what one is asked for, at the same time."""
        mine = len(ACTIONS) - ACTIONS.index(self._requests.popleft()) if self._requests else 0
        most = self.world.largest(mine)  # to stop counts for more than a snapshot
        return ACTIONS[-most] if most else None

    # Testing

    def test_all(self) -> None:
        """Test every test net with the current weights and print its outputs."""
        finish(self._testing_all())

    def _testing_all(self) -> Pauses[None]:
        self._stopped = False
        self._before_test = exact_state.capture(self) if self.exact else None
        for i in range(len(self.test_nets)):
            if not self._stopped:
                yield from self._testing(i)
        if not self._stopped:
            self._before_test = None

    @property
    def _tests_at_0(self) -> bool:
        return bool(self.param.test_initialization) and not self.compat.no_test_at_0

    def _testing(self, index: int) -> Pauses[None]:
        if self.compat.log_2014:
            glog.info("solver.cpp:96", f"Iteration {self.iter}, Testing net")
        else:
            glog.info("solver.cpp:347", f"Iteration {self.iter}, Testing net (#{index})")
        net = self.test_nets[index]
        net.share_with(self.net)
        scores = yield from scoring(net, self.param.test_iter[index], self._interrupted)
        if scores is None:
            glog.info("solver.cpp:396", "Test interrupted.")
            return
        if self.param.test_compute_loss:
            glog.info("solver.cpp:401", f"Test loss: {float(scores.loss):g}")
        if self.compat.log_2014:
            for line in display.scores(scores.outputs):
                glog.info("solver.cpp:123", line)
            return
        for line in display.outputs(net, scores.outputs, "Test"):
            glog.info("solver.cpp:414", line)

    def _interrupted(self) -> bool:
        """Serve requests that come in during a test; true if one of them is to stop."""
        while request := self._next_request():
            if request == "snapshot":
                self.snapshot()
            else:
                self._stopped = True
        return self._stopped

    def close(self) -> None:
        """Let go of the data's threads and files."""
        for net in (self.net, *self.test_nets):
            for layer in net.layers:
                if isinstance(layer, PrefetchingLayer):
                    layer.close()

    # Snapshots

    def snapshot(self) -> str:
        """Write weights and solver state as ``<snapshot_prefix>_iter_<iter>``; returns the path of the state."""
        return snapshot.write(self)

    @property
    def standing(self) -> exact_state.State:
        """Where data and random streams stand, or stood before a test that is under way."""
        return self._before_test or exact_state.capture(self)

    def restore(self, path: str | os.PathLike[str], exact: bool | None = None) -> None:
        """Go on from a ``.solverstate`` or ``.solverstate.h5``, Caffe's or ours.

        ``exact``: go on to the bit, by the ``.exact`` file beside the state; else data start at their first record, as
        in Caffe. By default what the solver is.
        """
        exact = self.exact if exact is None else exact
        snapshot.restore(self, Path(path), exact)
        self._restored, self._exactly = True, exact
