"""Ctrl-C at any moment: the status that says so, no traceback, all cleaned up."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c"]
START = """
import os, signal, sys, time
from caffe_compat import interrupt

def ask(number=signal.SIGINT):
    os.kill(os.getpid(), number)

interrupt.leave()
"""
RUN = """
import click
from caffe_compat import program

@click.command()
def command():
    try:
        work()
    finally:
        time.sleep(0.2)  # longer than it takes to look whether the interrupt was lost
        import this  # cleaning up may import
        print("cleaned up")

program.run(command, "command")
"""


def ended(work: str, folder: Path) -> tuple[int, str, str]:
    """Status, last line of stdout, stderr of a program that does some work in a folder of modules."""
    done = subprocess.run([*PROGRAM, START + work + RUN], cwd=folder, capture_output=True, text=True)
    return done.returncode, (done.stdout.splitlines() or [""])[-1], done.stderr.strip()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_before_and_during_the_work(number: int, status: int, tmp_path: Path) -> None:
    before = f"ask({int(number)})\n"
    assert ended(before, tmp_path) == (status, "", "")
    during = f"def work():\n    ask({int(number)})\n    time.sleep(9)\n"
    assert ended(during, tmp_path) == (status, "cleaned up", "")


def test_while_modules_are_imported(tmp_path: Path) -> None:
    """One that forgets it, one after which nothing more is imported, one that makes another error of it."""
    (tmp_path / "forgets.py").write_text(
        "import __main__, time\n__main__.ask()\ntry:\n    import calendar\nexcept:\n    pass\n"
    )
    (tmp_path / "last.py").write_text("import __main__, time\n__main__.ask()\ntime.sleep(0.1)\n")
    (tmp_path / "changes.py").write_text(
        "import __main__, time\n__main__.ask()\ntry:\n    import calendar\nexcept:\n    raise ImportError('broken')\n"
    )
    for module in ("forgets", "last", "changes"):
        work = f"sys.path.insert(0, '')\ndef work():\n    import {module}\n    time.sleep(9)\n"
        assert ended(work, tmp_path) == (130, "cleaned up", ""), module


def test_where_exceptions_are_printed_and_forgotten(tmp_path: Path) -> None:
    work = """
class Forgets:
    def __del__(self):
        ask()
        time.sleep(0.01)

def work():
    Forgets()
    time.sleep(9)
"""
    assert ended(work, tmp_path) == (130, "cleaned up", "")


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    work = "def work():\n    ask(signal.SIGHUP)\n"
    done = subprocess.run(["nohup", *PROGRAM, START + work + RUN], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "cleaned up"
