"""The loop: order of events, requests, callbacks."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat import glog
from caffe_compat.solver import Solver
from caffe_compat.solver.signals import handle_signals

Tiny = Callable[..., Solver]
TEST = "test_iter: 2 test_interval: 4"


@contextmanager
def logged() -> Iterator[io.StringIO]:
    log = io.StringIO()
    handler = glog.attach(log)
    try:
        yield log
    finally:
        glog.detach(handler)


def messages(log: io.StringIO) -> list[str]:
    return [line.partition("] ")[2] for line in log.getvalue().splitlines() if "solver.cpp" in line]


def events(log: io.StringIO) -> list[str]:
    """The messages in short, without numbers that depend on values."""
    found = []
    for message in messages(log):
        if match := re.match(r"Iteration (\d+)(, Testing| \(|, lr|, loss)", message):
            name = {", Testing": "test", " (": "show", ", lr": "lr", ", loss": "last"}[match[2]]
            found.append(f"{name} {match[1]}")
        elif match := re.match(r"Snapshotting to .*_iter_(\d+)", message):
            found.append(f"snapshot {match[1]}")
        elif message.startswith("Optimization"):
            found.append(message)
    return found


def test_order_of_events(tiny: Tiny) -> None:
    solver = tiny(f"{TEST} display: 4 snapshot: 3 snapshot_after_train: true")
    with logged() as log:
        solver.solve()
    assert events(log) == [
        "test 0",
        "show 0",
        "lr 0",
        "snapshot 3",
        "test 4",
        "show 4",
        "lr 4",
        "snapshot 6",
        "snapshot 8",
        "last 8",
        "test 8",
        "Optimization Done.",
    ]


def test_no_second_snapshot_after_training(tiny: Tiny) -> None:
    solver = tiny("snapshot: 4 snapshot_after_train: true")
    with logged() as log:
        solver.solve()
    assert events(log) == ["snapshot 4", "snapshot 8", "Optimization Done."]


def test_first_test_can_be_left_out(tiny: Tiny) -> None:
    solver = tiny(f"{TEST} test_initialization: false")
    with logged() as log:
        solver.solve()
    assert events(log) == ["test 4", "test 8", "Optimization Done."]


def test_a_step_is_a_part_of_solving(tiny: Tiny) -> None:
    whole = tiny()  # solvers share the random stream that the first thing they do is to seed
    whole.step(6)
    parts = tiny()
    for _ in range(3):
        parts.step(2)
    for a, b in zip(whole.net.learnable, parts.net.learnable):
        assert torch.equal(a.parameter, b.parameter)


def test_a_test_uses_the_weights_of_the_moment(tiny: Tiny) -> None:
    solver = tiny(TEST)
    assert solver.test_nets[0].params["fc1"][0].data.std() > 0
    assert not np.array_equal(solver.test_nets[0].params["fc1"][0].data, solver.net.params["fc1"][0].data)
    solver.step(1)
    solver.net.params["fc2"][0].data[...] = 0
    solver.net.params["fc2"][1].data[...] = [0, 0, 5]
    with logged() as log:
        solver.test_all()
    loss = -np.log(1 / (2 + np.exp(5)))
    assert messages(log)[1:] == [
        "    Test net output #0: accuracy = 0",
        f"    Test net output #1: loss = {loss:g} (* 1 = {loss:g} loss)",
    ]


def test_callbacks_surround_the_passes(tiny: Tiny) -> None:
    solver = tiny()
    seen: list[tuple[str, int, bool]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, solver.iter, solver.net.learnable[0].parameter.grad is not None))

    solver.add_callback(note("start"), note("gradients"))
    solver.step(2)
    assert seen == [("start", 0, False), ("gradients", 0, True), ("start", 1, False), ("gradients", 1, True)]


def test_stop_ends_the_iteration_and_snapshots(tiny: Tiny) -> None:
    solver = tiny("snapshot_after_train: true display: 1")
    solver.add_callback(lambda: solver.request("stop") if solver.iter == 2 else None, lambda: None)
    with logged() as log:
        solver.solve()
    assert solver.iter == 3
    assert events(log)[-2:] == ["snapshot 3", "Optimization stopped early."]
    assert Path("snap_iter_3.solverstate").exists()


def test_snapshot_on_request_goes_on(tiny: Tiny) -> None:
    solver = tiny()
    solver.add_callback(lambda: solver.request("snapshot") if solver.iter == 2 else None, lambda: None)
    solver.solve()
    assert solver.iter == 8
    assert sorted(path.name for path in Path().iterdir()) == ["snap_iter_3.caffemodel", "snap_iter_3.solverstate"]


def test_stop_during_a_test(tiny: Tiny) -> None:
    solver = tiny(f"{TEST} snapshot_after_train: true")
    solver.request("snapshot")
    solver.request("stop")
    with logged() as log:
        solver.solve()
    assert "Test interrupted." in messages(log)
    assert events(log) == ["test 0", "snapshot 0", "snapshot 0", "Optimization stopped early."]
    assert solver.iter == 0
    assert Path("snap_iter_0.solverstate").exists()
    solver.step(1)
    assert solver.iter == 1  # a stop is for one run


def test_unknown_request(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="action 'halt'; known: stop, snapshot"):
        tiny().request("halt")


def test_signals_are_requests(tiny: Tiny) -> None:
    solver = tiny("snapshot_after_train: true")
    send = {2: signal.SIGHUP, 4: signal.SIGINT}
    solver.add_callback(lambda: os.kill(os.getpid(), send[solver.iter]) if solver.iter in send else None, lambda: None)
    before = signal.getsignal(signal.SIGINT)
    with handle_signals(solver):
        solver.solve()
    assert signal.getsignal(signal.SIGINT) is before
    assert solver.iter == 5
    assert {path.name for path in Path().glob("*.solverstate")} == {
        "snap_iter_3.solverstate",
        "snap_iter_5.solverstate",
    }


def test_a_second_interrupt_does_not_wait(tiny: Tiny) -> None:
    solver = tiny()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    solver.add_callback(interrupt, lambda: None)
    with pytest.raises(KeyboardInterrupt), handle_signals(solver):
        solver.solve()
    assert solver.iter == 0
