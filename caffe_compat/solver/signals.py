"""What Ctrl-C and a hangup do to a training run: finish the iteration, then stop or write a snapshot."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def handle_signals(solver: Any, sigint: str = "stop", sighup: str = "snapshot") -> Iterator[None]:
    """Within this context SIGINT and SIGHUP become requests to the solver, by default as in ``caffe train``.

    Only in the main thread of a program. A second SIGINT, for those who cannot wait, interrupts at once.

    Args:
        solver: a Solver.
        sigint, sighup: "stop", "snapshot" or "none" (the signal is ignored).
    """
    impatient = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal impatient
        action = sigint if number == signal.SIGINT else sighup
        if number == signal.SIGINT and action == "stop":
            if impatient:
                raise KeyboardInterrupt
            impatient = True
        if action != "none":
            solver.request(action)

    numbers = [signal.SIGINT] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
    previous = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
