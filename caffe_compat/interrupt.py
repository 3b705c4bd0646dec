"""Ctrl-C, SIGTERM and SIGHUP end a program at once, whatever it is doing, and leave nothing behind.

Python raises KeyboardInterrupt wherever it is. That may be where exceptions are printed and forgotten or, while modules
are imported, which takes the first seconds, in the middle of a library's start. So there it is raised when the next
module is looked for, or when all are there; and it is raised again until it is on its way.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
INTERRUPTED = 128 + signal.SIGINT  # what shells report for a program that Ctrl-C ended
AGAIN_S = 0.05

Handler = Callable[[int, FrameType | None], None]
_active = False  # within ``raised``
_asked: int | None = None  # the signal that came
_pending = False  # whether its KeyboardInterrupt may have been lost
_again = False  # whether the next signal is only to see to that


def leave() -> None:
    """From now on signals end the process without a word: as yet, or by now, there is nothing to clean up."""
    _handle(lambda number, frame: os._exit(128 + number))


@contextmanager
def raised() -> Iterator[None]:
    """Within this context signals raise KeyboardInterrupt, and so do errors that come of it."""
    global _active, _asked
    _active, _asked = True, None
    previous, complain = _handle(lambda number, frame: now(number)), sys.unraisablehook
    sys.unraisablehook = lambda lost: None if _asked is not None else complain(lost)
    try:
        yield
    except Exception:
        if _asked is not None:
            raise KeyboardInterrupt from None
        raise
    finally:
        _active = False
        _done()
        sys.unraisablehook = complain
        for number, handler in previous.items():
            signal.signal(number, handler)


def now(number: int = signal.SIGINT) -> None:
    """Raise KeyboardInterrupt in the main thread; within ``raised``, where that does no harm and is not lost."""
    global _asked, _pending, _again
    if not _active:
        raise KeyboardInterrupt
    again, _again = _again, False
    if again and _on_its_way():
        _done()
        return
    _asked = number
    if not _pending:
        _pending = True
        _thread.start_new_thread(_see_to_it, (number,))
    if not _importing(sys._getframe()):
        raise KeyboardInterrupt
    if _AtNextImport not in sys.meta_path:
        sys.meta_path.insert(0, _AtNextImport)  # type: ignore[arg-type]


def status() -> int:
    """The exit status that shells report for a program that the last signal ended."""
    return 128 + (signal.SIGINT if _asked is None else _asked)


def _handle(handler: Handler) -> dict[int, Any]:
    """Handle the signals that are not ignored, as nohup has it; returns what handled them before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handled = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in handled}


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _on_its_way() -> bool:
    """Whether this is called by what cleans up while KeyboardInterrupt, or an error made of it, passes by."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _done() -> None:
    global _pending
    _pending = False
    if _AtNextImport in sys.meta_path:
        sys.meta_path.remove(_AtNextImport)  # type: ignore[arg-type]


def _see_to_it(number: int) -> None:
    global _again
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    while True:
        time.sleep(AGAIN_S)
        if not _pending:
            return
        _again = True
        signal.pthread_kill(main_thread, number)


class _AtNextImport:
    """Stands in front of those who find modules, and raises KeyboardInterrupt instead of finding one."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if _on_its_way():
            _done()
        else:
            raise KeyboardInterrupt
