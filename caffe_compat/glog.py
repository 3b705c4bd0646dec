"""Log lines as Caffe's glog prints them, so that Caffe's own log parsers read ours.

Everything goes through the standard logger ``caffe``; nothing is printed until ``attach`` gives it a place. Each line
names the place in Caffe's sources that prints it there (``solver.cpp:239``), since parsers look for that too.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from pathlib import Path
from typing import TextIO

logger = logging.getLogger("caffe")
logger.propagate = False
logger.addHandler(logging.NullHandler())  # keeps the standard library from printing warnings by itself
logger.setLevel(logging.INFO)

SEVERITY = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR}


class GlogFormatter(logging.Formatter):
    """``I20170418 09:25:14.225340 32116 solver.cpp:239] Iteration 0, loss = 1.2``: date, local time, thread id."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a message of several lines gets the prefix once, as in glog."""
        time = datetime.fromtimestamp(record.created).strftime("%Y%m%d %H:%M:%S.%f")
        where = getattr(record, "where", f"{record.filename}:{record.lineno}")
        return f"{record.levelname[0]}{time} {threading.get_native_id():5d} {where}] {record.getMessage()}"


def info(where: str, message: str) -> None:
    """Log ``message`` as Caffe does at ``where``."""
    logger.info("%s", message, extra={"where": where})


def warning(where: str, message: str) -> None:
    """Log ``message`` as a warning."""
    logger.warning("%s", message, extra={"where": where})


def error(where: str, message: str) -> None:
    """Log ``message`` as an error that does not end the run."""
    logger.error("%s", message, extra={"where": where})


def log(severity: str, where: str, message: str) -> None:
    """Log with glog's letter of severity: I, W or E."""
    logger.log(SEVERITY[severity], "%s", message, extra={"where": where})


def attach(target: TextIO | str | Path, level: int = logging.INFO) -> logging.Handler:
    """Send log lines to an open stream, or append them to a file; returns what ``detach`` takes."""
    handler: logging.Handler
    if isinstance(target, (str, Path)):
        handler = logging.FileHandler(target, encoding="utf-8")
    else:
        handler = logging.StreamHandler(target)
    handler.setFormatter(GlogFormatter())
    handler.setLevel(level)
    logger.addHandler(handler)
    return handler


def detach(handler: logging.Handler) -> None:
    """Stop sending lines there; a file is closed."""
    logger.removeHandler(handler)
    handler.close()
