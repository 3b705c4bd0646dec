"""A background thread that keeps a few batches ready."""

from __future__ import annotations

import atexit
import contextvars
import itertools
import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from caffe_compat import glog

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Calls ``produce`` ahead of ``get``, up to ``depth`` items.

    An exception of ``produce`` ends the thread and is raised by ``get`` when its turn comes, and from then on. The
    thread ends with ``close``, with the last reference to the prefetcher, or with the process. A forked child has no
    such thread: there ``alive`` is false.
    """

    def __init__(self, produce: Callable[[], Item], depth: int) -> None:
        self._owner = os.getpid()
        self._error: BaseException | None = None
        self._ready: SimpleQueue[Item | BaseException] = SimpleQueue()
        self._room = threading.Semaphore(depth)
        stop = threading.Event()
        # The thread gets no reference to self, which would keep it from ever being collected.
        arguments = (produce, self._ready, self._room, stop)
        run = contextvars.copy_context().run  # so that its log lines go where its maker's do
        self._thread = threading.Thread(target=run, args=(_run, *arguments), name="prefetch", daemon=True)
        self._stop = weakref.finalize(self, _tell_to_stop, self._owner, self._room, stop)
        _threads[self._thread] = (self._owner, self._room, stop)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False in a forked child."""
        return os.getpid() == self._owner

    def get(self) -> Item:
        """The next item; waits for it."""
        if self._error is None:
            if self._ready.empty() and next(_waits) % SHOWN_WAITS == 0:
                glog.info("blocking_queue.cpp:49", "Waiting for data")
            item = self._ready.get()
            if not isinstance(item, BaseException):
                self._room.release()
                return item
            self._error = item
        raise self._error

    def close(self) -> None:
        """End the thread and wait for it, which takes at most one call of ``produce``."""
        self._stop()
        if self.alive:
            self._thread.join()


SHOWN_WAITS = 1000  # one line for so many
EXIT_SECONDS = 5  # that the process waits for a thread to end
_waits = itertools.count()
_threads: weakref.WeakKeyDictionary[threading.Thread, tuple[int, threading.Semaphore, threading.Event]]
_threads = weakref.WeakKeyDictionary()


def _run(produce: Callable, ready: SimpleQueue, room: threading.Semaphore, stop: threading.Event) -> None:
    while True:
        room.acquire()
        if stop.is_set():
            return
        try:
            item = produce()
        except BaseException as error:
            ready.put(error)
            return
        ready.put(item)


@atexit.register
def _end_all() -> None:
    """Wait for all threads: one that is inside torch while the interpreter goes away would abort the process."""
    for thread, told in list(_threads.items()):
        _tell_to_stop(*told)
        thread.join(EXIT_SECONDS)


def _tell_to_stop(owner: int, room: threading.Semaphore, stop: threading.Event) -> None:
    if os.getpid() == owner:  # in a forked child the locks may have been copied locked
        stop.set()
        room.release()
