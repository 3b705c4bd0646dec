"""What Ctrl-C and a hangup do to a training run: finish the iteration, then stop or write a snapshot."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from caffe_compat import interrupt


@contextmanager
def handle_signals(
    solver: Any, sigint: str = "stop", sighup: str = "snapshot", sigterm: str | None = None
) -> Iterator[None]:
    """Within this context SIGINT and SIGHUP become requests to the solver, by default as in ``caffe train``.

    Only in the main thread of a program. A second SIGINT, for those who cannot wait, interrupts at once.

    Args:
        solver: a Solver.
        sigint, sighup, sigterm: "stop", "snapshot" or "none" (the signal is ignored); None: do what it did before.
    """
    impatient = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal impatient
        action = actions[number]
        if number == signal.SIGINT and action == "stop":
            if impatient:
                interrupt.now(number)
            impatient = True
        if action != "none":
            solver.request(action)

    wanted = {"SIGINT": sigint, "SIGHUP": sighup, "SIGTERM": sigterm}
    actions = {getattr(signal, name): action for name, action in wanted.items() if action and hasattr(signal, name)}
    previous = {number: signal.signal(number, on_signal) for number in actions}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
