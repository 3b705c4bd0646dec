"""What the machine could not do is one line, like a user's mistakes."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
import torch

from caffe_compat import program

OUT = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1 GiB is free."
ON_CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to get 9 bytes. Error code 12 (Cannot allocate memory)"
)
ASSERTED = "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            torch.OutOfMemoryError(OUT),
            "CUDA out of memory. Tried to allocate 2.00 GiB; a smaller batch_size takes less",
        ),
        (
            torch.AcceleratorError(ASSERTED),
            "CUDA error: device-side assert triggered; "
            "a label that is none of the classes does that, which a CPU would name",
        ),
        (torch.AcceleratorError("CUDA error: unknown error\nmore"), "CUDA error: unknown error"),
        (
            RuntimeError(ON_CPU),
            "DefaultCPUAllocator: can't allocate memory: you tried to get 9 bytes; a smaller batch_size takes less",
        ),
        (MemoryError("Unable to allocate 8.00 PiB"), "Unable to allocate 8.00 PiB; a smaller batch_size takes less"),
    ],
)
def test_failures_of_the_machine(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.run(failing(error), "yosinski")
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"yosinski: {line}\n"


def test_other_errors_are_ours() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        program.run(failing(RuntimeError("a bug")), "yosinski")


def test_closed_streams_are_no_files_numbers() -> None:
    code = """
import os, sys, click
from caffe_compat import program
@click.command()
def command():
    sys.stderr.isatty(), print("said to nobody")
    file = open(os.devnull)
    os._exit(file.fileno())
program.run(command, "command")
"""

    def close() -> None:
        os.closerange(0, 3)

    assert subprocess.run([sys.executable, "-c", code], preexec_fn=close).returncode > 2


def failing(error: Exception) -> click.Command:
    def command(**_: object) -> None:
        raise error

    made = click.Command("command")
    made.main = command  # type: ignore[method-assign]
    return made
