"""Log lines as Caffe's glog prints them, so that Caffe's own log parsers read ours.

Everything goes through the standard logger ``caffe``; nothing is printed until ``attach`` gives it a place. What is
attached behind a ``separate`` gets the lines of that ``contextvars.Context`` only. Each line names the place in Caffe's
sources that prints it there (``solver.cpp:239``), since parsers look for that too.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import TextIO

from caffe_compat.errors import CaffeError

logger = logging.getLogger("caffe")
logger.propagate = False
logger.addHandler(logging.NullHandler())  # keeps the standard library from printing warnings by itself
logger.setLevel(logging.INFO)

SEVERITY = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}
LETTER = {level: letter for letter, level in SEVERITY.items()}

_log: ContextVar[object | None] = ContextVar("log", default=None)

# Held while a line is written, and while the process forks: a child would find the lock of a file that another thread
# was writing to closed for ever.
_writing = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_writing.acquire, after_in_parent=_writing.release, after_in_child=_writing.release)


class GlogFormatter(logging.Formatter):
    """``I20170418 09:25:14.225340 32116 solver.cpp:239] Iteration 0, loss = 1.2``: date, local time, thread id.

    ``before`` comes in front of all that.
    """

    def __init__(self, before: str = "") -> None:
        super().__init__()
        self.before = before

    def format(self, record: logging.LogRecord) -> str:
        """The line; a message of several lines gets the prefix once, as in glog."""
        time = datetime.fromtimestamp(record.created).strftime("%Y%m%d %H:%M:%S.%f")
        where = getattr(record, "where", f"{record.filename}:{record.lineno}")
        letter = LETTER.get(record.levelno, record.levelname[0])
        return f"{self.before}{letter}{time} {threading.get_native_id():5d} {where}] {record.getMessage()}"


def level_of(severity: int) -> int:
    """The logging level of a severity by glog's number, 0 INFO to 3 FATAL; numbers beyond these are the nearest."""
    levels = list(SEVERITY.values())
    return levels[min(max(severity, 0), len(levels) - 1)]


class _File(logging.FileHandler):
    """A log file. When the disk does not take a line, that ends the run, with one line; logging would print each."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            raise
        raise CaffeError(f"{self.baseFilename}: cannot write the log: {error.strerror}") from None

    def close(self) -> None:
        with suppress(OSError):  # of which a line has told
            super().close()


def enabled() -> bool:
    """Whether anybody listens: what is dear to put into words need not be, otherwise."""
    return len(logger.handlers) > 1 or logger.propagate


def log(severity: str, where: str, message: str) -> None:
    """Log ``message`` as Caffe does at ``where``, with glog's letter of severity: I, W, E or F."""
    if enabled():
        with _writing:
            logger.log(SEVERITY[severity], "%s", message, extra={"where": where})


def info(where: str, message: str) -> None:
    """Log what happens."""
    log("I", where, message)


def warning(where: str, message: str) -> None:
    """Log a warning."""
    log("W", where, message)


def error(where: str, message: str) -> None:
    """Log an error that does not end the run."""
    log("E", where, message)


def fatal(where: str, message: str) -> None:
    """Log the error that ends the run; ending it is left to the caller."""
    log("F", where, message)


def separate() -> None:
    """From now on the lines of the current ``contextvars.Context`` are a log of their own."""
    _log.set(object())


def attach(target: TextIO | str | Path, level: int = logging.INFO, before: str = "") -> logging.Handler:
    """Send log lines to an open stream, or append them to a file; returns what ``detach`` takes.

    ``before``: what each line begins with.
    """
    handler: logging.Handler
    if isinstance(target, (str, Path)):
        handler = _File(target, encoding="utf-8")
    else:
        handler = logging.StreamHandler(target)
    handler.setFormatter(GlogFormatter(before))
    handler.setLevel(level)
    return listen(handler)


def listen(handler: logging.Handler) -> logging.Handler:
    """Send log lines to a handler; if the context is separate, only its own. Returns what ``detach`` takes."""
    if (mine := _log.get()) is not None:
        handler.addFilter(lambda record: _log.get() is mine)
    logger.addHandler(handler)
    return handler


def detach(handler: logging.Handler) -> None:
    """Stop sending lines there; a file is closed."""
    logger.removeHandler(handler)
    handler.close()
