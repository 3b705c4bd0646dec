"""Contenders in processes of their own that have only so many cores, whatever number of threads they start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from caffe_compat.errors import CaffeError

Prepare = Callable[..., Callable[[], float]]  # gives a run that says how many seconds it took


class Pinned:
    """A process that has prepared a run and makes it when asked.

    Args:
        cores: how many it may use.
        prepare: a function of a module, called there with the arguments once the process has its cores; it sees them
            in ``os.sched_getaffinity`` and as torch's threads.
    """

    def __init__(self, cores: int, prepare: Prepare, *arguments: Any) -> None:
        context = get_context("spawn")  # so that no library has counted the cores before
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, cores, prepare, arguments), daemon=True)
        self._process.start()
        other.close()

    def __enter__(self) -> Pinned:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()

    def run(self) -> float:
        """Make the run and return its seconds. CaffeError with what went wrong there."""
        try:
            self._connection.send(None)
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise CaffeError("a process that was measured has ended before its time") from None
        if isinstance(answer, str):
            raise CaffeError(answer)
        return float(answer)


def _serve(connection: Connection, cores: int, prepare: Prepare, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks, which ends this one
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    run = None
    while True:
        try:
            connection.recv()
        except (EOFError, OSError):
            return
        try:
            if run is None:
                import torch

                torch.set_num_threads(cores)
                run = prepare(*arguments)
            connection.send(run())
        except Exception as error:
            connection.send(f"{type(error).__name__}: {' '.join(str(error).split())}")
