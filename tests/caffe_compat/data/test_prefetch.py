"""The background thread: order, bounds, errors, and its end."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
import time

import pytest

from caffe_compat.data.prefetch import Prefetcher
from caffe_compat.errors import CaffeError


def wait_until(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.002)


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "prefetch"}


def test_order_and_depth() -> None:
    made: list[int] = []

    def produce() -> int:
        made.append(len(made))
        return made[-1]

    prefetcher = Prefetcher(produce, 3)
    wait_until(lambda: len(made) == 3)
    assert [prefetcher.get() for _ in range(5)] == [0, 1, 2, 3, 4]
    wait_until(lambda: len(made) == 8)
    time.sleep(0.05)
    assert len(made) == 8
    prefetcher.close()


def test_error_comes_in_turn_and_again() -> None:
    items = iter([1, 2])

    def produce() -> int:
        try:
            return next(items)
        except StopIteration:
            raise CaffeError("no more") from None

    prefetcher = Prefetcher(produce, 4)
    assert (prefetcher.get(), prefetcher.get()) == (1, 2)
    for _ in range(2):
        with pytest.raises(CaffeError, match="no more"):
            prefetcher.get()
    prefetcher.close()


def test_thread_ends_with_close_and_with_the_last_reference() -> None:
    before = threads()
    prefetcher = Prefetcher(itertools.count().__next__, 2)
    assert threads() - before
    prefetcher.close()
    prefetcher.close()
    assert not threads() - before
    prefetcher = Prefetcher(itertools.count().__next__, 2)
    del prefetcher
    gc.collect()
    wait_until(lambda: not threads() - before)


def test_fork_does_not_hang() -> None:
    prefetcher = Prefetcher(itertools.count().__next__, 2)
    child = os.fork()
    if child == 0:
        ok = not prefetcher.alive
        prefetcher.close()
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert prefetcher.alive
    prefetcher.close()


def test_process_ends_while_producing() -> None:
    code = (
        "import time; from caffe_compat.data.prefetch import Prefetcher\n"
        "p = Prefetcher(lambda: time.sleep(0.01), 2); p.get()\n"
        "q = Prefetcher(lambda: time.sleep(3600), 2)\n"
        "raise KeyboardInterrupt"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stderr.strip().endswith("KeyboardInterrupt")


def test_process_ends_while_inside_torch() -> None:
    code = (
        "import numpy, torch; from caffe_compat.data.prefetch import Prefetcher\n"
        "ones = numpy.ones((300, 300))\n"
        "p = Prefetcher(lambda: torch.mm(*[torch.from_numpy(ones.copy())] * 2), 2); [p.get() for _ in range(99)]"
    )
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
