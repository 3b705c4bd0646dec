"""Contenders in processes of their own that have only so many cores, whatever number of threads they start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from caffe_compat.errors import CaffeError

Prepare = Callable[..., Callable[[], float]]  # gives a run that says how many seconds it took


class Pinned:
    """A process that has prepared a run and makes it when asked. Ctrl-C is for the process that asks, which ends it.

    Args:
        cores: how many it may use; so many threads have torch and OpenMP there, whatever OMP_NUM_THREADS says here.
        prepare: a function of a module, called there with the arguments. The module is imported there only when the
            process has its cores, so that every library counts these.
    """

    def __init__(self, cores: int, prepare: Prepare, *arguments: Any) -> None:
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, cores), daemon=True)
        resource_tracker.ensure_running()  # now, since it lets Ctrl-C through once it runs
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        other.close()
        self._connection.send((prepare, arguments))

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


def _serve(connection: Connection, cores: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    run = None
    try:
        prepare, arguments = connection.recv()
        while True:
            connection.recv()
            try:
                run = run or prepare(*arguments)
                answer: float | str = run()
            except Exception as error:
                answer = f"{type(error).__name__}: {' '.join(str(error).split())}"
            connection.send(answer)
    except (EOFError, OSError):
        return  # nobody asks any more
