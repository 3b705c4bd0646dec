"""Running the command line in this process, and the demo's data."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import yosinski.cli
from caffe_compat import interrupt


@dataclass
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """``run("train", "x.prototxt")`` is the command, in this process."""
    logger = logging.getLogger("caffe")
    before = list(logger.handlers)

    def command(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["yosinski", *map(str, arguments)])
        code, signals = 0, {number: signal.getsignal(number) for number in interrupt.ENDING}
        try:
            yosinski.cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        finally:
            for number, action in signals.items():
                signal.signal(number, action)
            for handler in set(logger.handlers) - set(before):
                logger.removeHandler(handler)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    yield command


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/mini in it."""
    from yosinski.demo_data import write_demo_data

    root = tmp_path_factory.mktemp("demo")
    write_demo_data(root / "data" / "mini")
    return root


@pytest.fixture
def golden_copy(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which the golden logs' prototxts find their databases."""
    for name in ("logs", "solvers"):
        (tmp_path / name).symlink_to(golden / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
