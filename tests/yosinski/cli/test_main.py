"""The command line's frame: quick to start, one line for a mistake, the right exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from caffe_compat.errors import CaffeError
from caffe_compat.program import run
from yosinski.cli.commands import COMMANDS, cli

YOSINSKI = [sys.executable, "-m", "yosinski"]
HEAVY = ("torch", "numpy", "cv2", "lmdb", "onnx", "onnxruntime", "rich", "google.protobuf")


def test_help_names_every_command_and_tells_each_in_a_line() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.partition("Commands:")[2].splitlines() if line.strip()}
    assert list(lines) == list(COMMANDS)
    assert all(line.endswith(".") for line in lines.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage:")


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys; from yosinski.cli.commands import cli; cli(['--help'], standalone_mode=False); \
             print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_quick() -> None:
    def seconds() -> float:
        """What it takes of a processor: a machine with other work to do must not fail this."""
        began = os.times()
        subprocess.run([*YOSINSKI, "--help"], check=True, stdout=subprocess.DEVNULL)
        ended = os.times()
        return ended.children_user + ended.children_system - began.children_user - began.children_system

    assert min(seconds() for _ in range(5)) < 0.3


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["upgrade", "net", "only-one"], ["train"], ["bench", "--rounds=0"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    done = subprocess.run([*YOSINSKI, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage:")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CaffeError("net.prototxt:3: wrong\nand more"), 1, "yosinski: net.prototxt:3: wrong and more\n"),
        (
            OSError(28, "No space left on device", "big.caffemodel"),
            1,
            "yosinski: big.caffemodel: No space left on device\n",
        ),
        (PermissionError(13, "Permission denied", "a", None, "b"), 1, "yosinski: a -> b: Permission denied\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (SystemExit(3), 3, ""),
    ],
)
def test_a_failure_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["yosinski"])
    with pytest.raises(SystemExit) as stop:
        run(failing, "yosinski")
    assert stop.value.code == code
    assert capsys.readouterr().err == line


def test_a_closed_pipe_is_no_traceback() -> None:
    script = f"{sys.executable} -m yosinski --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def test_module_and_script_are_the_same_command(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("yosinski")
    runs = [
        subprocess.run([*c, "--version"], capture_output=True, text=True, cwd=tmp_path) for c in ([script], YOSINSKI)
    ]
    assert [run.returncode for run in runs] == [0, 0]
    assert runs[0].stdout == runs[1].stdout
