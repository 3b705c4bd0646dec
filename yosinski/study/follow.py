"""Processes that end with the driver that started them, however it ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

VARIABLE = "YOSINSKI_STUDY_DRIVER"
EVERY_S = 0.2


def mark(process: int) -> str:
    """A process for ever: its number and, since numbers are used again, when it began."""
    return f"{process} {_began(process)}"


def alive(marked: str) -> bool:
    """Whether the process of a ``mark`` is still there."""
    number, _, began = marked.partition(" ")
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError):
        return False
    return _began(int(number)) == began


def driver_gone() -> bool:
    """Whether the driver that ``VARIABLE`` names is no more. False where there is none."""
    return VARIABLE in os.environ and not alive(os.environ[VARIABLE])


def follow_driver(then: Callable[[], None] = lambda: os._exit(1)) -> None:
    """Call ``then`` in a thread once the driver is gone; by default the process ends at once."""
    driver = os.environ.get(VARIABLE)
    if driver is None:
        return

    def watch() -> None:
        while alive(driver):
            time.sleep(EVERY_S)
        then()

    threading.Thread(target=watch, name="driver", daemon=True).start()


def interrupt_me() -> None:
    """What Ctrl-C does: a training run finishes its iteration and writes a snapshot."""
    os.kill(os.getpid(), signal.SIGINT)


def _began(process: int) -> str:
    """When a process began, in the system's ticks; empty where /proc does not tell, or for a process that has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
