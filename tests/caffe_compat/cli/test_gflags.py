"""Flags as Caffe's users type them, and how the program ends."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from caffe_compat import program as programs
from caffe_compat.cli.gflags import argument, flag, program

Run = Callable[..., Result]
MODEL, WEIGHTS = "logs/net.prototxt", "logs/lognet_iter_40.caffemodel"


@pytest.mark.parametrize(
    "args",
    [
        ["test", f"--model={MODEL}", f"--weights={WEIGHTS}", "--iterations=2"],
        ["test", "--model", MODEL, "--weights", WEIGHTS, "--iterations", "2"],
        ["test", f"-model={MODEL}", "-weights", WEIGHTS, "-iterations", "2"],
        ["--model", MODEL, f"-weights={WEIGHTS}", "test", "--iterations=2"],
        ["test", "--iterations=7", "--iterations=2", f"-model={MODEL}", f"-weights={WEIGHTS}", "--logtostderr=1"],
    ],
)
def test_every_way_to_write_a_flag(args: list[str], tree: Path, run: Run) -> None:
    result = run(*args)
    assert result.exit_code == 0
    assert [line.split("] ")[1] for line in result.stderr.splitlines() if "caffe.cpp" in line][1:] == [
        "Running for 2 iterations.",
        "Batch 0, accuracy = 1",
        "Batch 0, loss = 0.00527905",
        "Batch 1, accuracy = 0.666667",
        "Batch 1, loss = 0.695981",
        "Loss: 0.35063",
        "accuracy = 0.833333",
        "loss = 0.35063 (* 1 = 0.35063 loss)",
    ]


@pytest.mark.parametrize(
    ("args", "on"),
    [
        ([], False),
        (["--shuffle"], True),
        (["-shuffle"], True),
        (["--shuffle=true"], True),
        (["-shuffle=1"], True),
        (["--shuffle=no"], False),
        (["--noshuffle"], False),
        (["-noshuffle"], False),
        (["--shuffle", "--shuffle=False"], False),
    ],
)
def test_booleans(args: list[str], on: bool) -> None:
    seen = []
    command = program("x", argument("name"), flag("shuffle", False, ""))(lambda **values: seen.append(values))
    assert CliRunner().invoke(command, [*args, "shuffle=true"]).exit_code == 0
    assert seen == [{"name": "shuffle=true", "shuffle": on}]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["train", "--nosuch=1"], "No such option"),
        (["train", "--solver"], "requires an argument"),
        (["test", "--iterations=many"], "'many' is not a valid integer"),
        (["time", "-model=x", "-iterations", "0"], "0 is not in the range"),
        (["train", "--solver=x", "--sigint_effect=explode"], "'explode' is not one of"),
        (["time", "--phase=BOTH"], "'BOTH' is not one of"),
        (["time"], "Need a model definition to time."),
        (["test", "--weights=x"], "Need a model definition to score."),
        (["train", "--solver=x", "--snapshot=y", "--weights=z"], "but not both."),
        (["convert_imageset", "a", "b"], "Missing argument 'DB_NAME'"),
        (["extract_features", "a", "b", "c", "d", "1", "sqlite"], "'sqlite' is not one of"),
    ],
)
def test_wrong_usage_exits_with_2(args: list[str], says: str, run: Run) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert says in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["train", "--solver=none.prototxt"], r"caffe: none.prototxt: cannot read it: .*"),
        (["test", f"--model={MODEL}", "--weights=none"], r"caffe: none: .*"),
        (["train", "--solver=logs/solver.prototxt", "--gpu=999"], r"caffe: GPU 999: this machine has \d+ CUDA .*"),
        (["train", "--solver=logs/solver.prototxt", "--snapshot=logs/net.prototxt"], r"caffe: logs/net.prototxt: .*"),
        (["convert_imageset", ".", "none", "db"], "caffe: none: cannot read the list: .*"),
        (["train", "--solver=logs/solver.prototxt", "--log_dir=nowhere"], "caffe: --log_dir nowhere: no such folder"),
    ],
)
def test_a_failure_is_one_line_and_1(args: list[str], reason: str, tree: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "caffe_compat.cli", *args], capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("caffe: ")]
    assert done.returncode == 1 and len(lines) == 1 and re.fullmatch(reason, lines[0])
    assert done.stderr.endswith(f"{lines[0]}\n") and "Traceback" not in done.stderr


def test_help_lists_the_commands_in_caffes_order(run: Run) -> None:
    for args in (["--help"], ["-help"]):
        result = run(*args)
        assert result.exit_code == 0 and "usage: caffe <command> <args>" in result.output.lower()
        assert re.findall(r"^  (\w+)  ", result.output, re.M)[:4] == ["train", "test", "device_query", "time"]
    assert "--sighup_effect" in run("train", "-help").output


def test_log_files_are_named_as_glogs(tree: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("log").mkdir()
    args = ["test", f"--model={MODEL}", f"--weights={WEIGHTS}", "--iterations=1"]
    shown = run(*args, "--log_dir=log").stderr
    (file,) = Path("log").glob("caffe.*.log.INFO.*")
    assert file.read_text() == shown == Path("log/caffe.INFO").read_text()
    monkeypatch.setenv("GLOG_minloglevel", "1")
    assert run(*args).stderr == ""
    assert run("train").stderr.startswith("F")


def test_a_reader_that_leaves_early_gets_no_complaint() -> None:
    code = "import os\ndef f(**_): raise BrokenPipeError(32, 'Broken pipe')\n"
    code += (
        f"from caffe_compat.cli.gflags import program\nfrom {programs.__name__} import run\nrun(program('x')(f), 'x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
