"""`yosinski train A B --together`: what a user sees."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yosinski.run_dir import RunDir


@pytest.fixture
def two(golden_copy: Path) -> list[str]:
    """Two solvers of the same net."""
    text = Path("logs/solver.prototxt").read_text()
    for name, seed in (("one", 5), ("two", 6)):
        Path(f"{name}.prototxt").write_text(re.sub(r"random_seed: \d+", f"random_seed: {seed}", text))
    return ["one.prototxt", "two.prototxt"]


def final(path: str) -> bytes:
    found = RunDir(Path(path)).newest_weights()
    assert found is not None
    return found.read_bytes()


def test_two_at_once(run, two: list[str]) -> None:
    common = ("--max-iter", 30, "--device", "cpu")
    done = run("train", *two, "--together", *common, "--out", "both")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["both/one: 30 iterations", "both/two: 30 iterations"]
    assert {line.split(": ")[0] for line in done.err.splitlines() if "] Iteration " in line} == {"one", "two"}
    for name in ("one", "two"):
        assert run("train", f"{name}.prototxt", *common, "--out", f"alone/{name}").code == 0
        assert final(f"both/{name}") == final(f"alone/{name}")
        log = Path(f"both/{name}/train.log").read_text()
        assert log.count("Optimization Done.") == 2 and log.count("Iteration 20, Testing net") == 1
    assert final("both/one") != final("both/two")
    again = run("train", "both/one", "both/two", "--together", "--resume", "--max-iter", 30, "--device", "cpu")
    assert (again.code, again.out) == (0, "both/one: has finished before\nboth/two: has finished before\n")


def test_one_that_fails(run, two: list[str]) -> None:
    Path("two.prototxt").write_text(Path("two.prototxt").read_text() + 'type: "Nope"\n')
    done = run("train", *two, "--together", "--max-iter", 20, "--device", "cpu", "--out", "r")
    assert done.code == 1
    reasons = [line for line in done.err.splitlines() if line.startswith("yosinski: ")]
    assert len(reasons) == 1 and reasons[0].startswith("yosinski: r/two: two.prototxt: ")
    assert RunDir(Path("r/one")).finished and not RunDir(Path("r/two")).finished
    again = run("train", *two, "--together", "--max-iter", 20, "--device", "cpu", "--out", "r")
    assert "\nyosinski: r/one: this run has finished; " in again.err


def test_wrong_usage(run, two: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: str) -> str:
        done = run("train", *arguments)
        assert done.code == 2
        return str(done.err.splitlines()[-1])

    want = "Error: 2 definitions: with --together they are trained in turn, from one stream."
    assert refused(*two) == want
    assert refused(*two, "--together", "--snapshot", "x").startswith("Error: --snapshot is of one net")
    assert refused("--together", "--solver", "one.prototxt") == "Error: Missing argument 'PROTOTXT'."
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert refused(*two, "--together").startswith("Error: --together is several nets in one process; torchrun")
    done = run("train", "one.prototxt", "one.prototxt", "--together", "--out", "r")
    assert (done.code, Path("r").exists()) == (2, False)


def test_ctrl_c_and_on(run, two: list[str]) -> None:
    command = [sys.executable, "-m", "yosinski", "train", *two, "--together", "--device=cpu", "--out=r"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "--max-iter=100000"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Iteration 20 " in line:
                process.send_signal(signal.SIGINT)
                break
        last = process.stderr.read().splitlines()[-1]
    assert process.returncode == 130
    assert last == "yosinski: stopped; go on with: yosinski train r/one r/two --together --resume --device cpu"
    metas = [RunDir(Path("r", name)).meta for name in ("one", "two")]
    assert [meta["status"] for meta in metas] == ["interrupted"] * 2
    reached = str(max(meta["iteration"] for meta in metas) + 5)
    on = run("train", "r/one", "r/two", "--together", "--resume", "--device=cpu", "--max-iter", reached)
    assert on.code == 0, on.err
    for name in ("one", "two"):
        assert run("train", f"{name}.prototxt", "--device=cpu", "--out", name, "--max-iter", reached).code == 0
        assert final(name) == final(f"r/{name}")
