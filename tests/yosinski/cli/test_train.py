"""`yosinski train`, `test` and `time` against the log of real Caffe; stopping, killing and resuming."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from yosinski.run_dir import RunDir, snapshot_iteration

YOSINSKI = [sys.executable, "-m", "yosinski"]
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]\d+)?")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
NEVER = "--max-iter=1000000"  # is a run over before it is stopped, however late that is


def lines_of(log: str, *files: str) -> list[str]:
    """The lines that these files of Caffe print, without prefix, paths and speed."""
    found = []
    prefix = re.compile(rf"[IWE]\d+ [\d:.]+ +\d+ ((?:{'|'.join(files)}):\d+\] .*)")
    for line in log.splitlines():
        match = prefix.match(line)
        if match and "napshot" not in line and "Waiting" not in line:
            found.append(re.sub(r"\(\S+ iter/s, \S+s/(\d+) iters\)", r"(/\1 iters)", match[1]))
    return found


def assert_same_lines(got: list[str], want: list[str]) -> None:
    """Equal words; numbers within 1e-4."""
    assert [NUMBER.sub("#", line) for line in got] == [NUMBER.sub("#", line) for line in want]
    for mine, theirs in zip(got, want, strict=True):
        numbers = [[float(number) for number in NUMBER.findall(line)] for line in (mine, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, abs=1e-6), mine


CAFFE = ("caffe.cpp", "solver.cpp", "sgd_solver.cpp")


def test_log_of_a_run_is_caffes(run, golden_copy: Path) -> None:
    done = run("train", "logs/solver.prototxt", "--out", "runs/lognet", "--device", "cpu")
    assert done.code == 0
    log = Path("runs/lognet/train.log").read_text()
    assert_same_lines(lines_of(log, *CAFFE), lines_of(Path("logs/train.stderr.txt").read_text(), *CAFFE))
    assert lines_of(done.err, *CAFFE) == lines_of(log, *CAFFE)
    assert done.out == "runs/lognet: 40 iterations, top-1 0.9167 at iteration 40\n"


def test_images_held_in_memory_train_the_same_net(run, golden_copy: Path) -> None:
    for out, more in (("read", []), ("host", ["--hold", "host"]), ("device", ["--hold", "device"])):
        done = run("train", "logs/solver.prototxt", "--out", f"runs/{out}", "--device=cpu", "--max-iter=20", *more)
        assert done.code == 0
        assert ("in the memory of host" in done.err) == bool(more)
    read, *held = (
        next(Path("runs", out).glob("*_iter_20.caffemodel*")).read_bytes() for out in ("read", "host", "device")
    )
    assert held == [read, read]


def test_resuming_from_a_snapshot_of_real_caffe(run, golden_copy: Path) -> None:
    snapshot = "logs/lognet_iter_20.solverstate"
    done = run("train", "--solver=logs/solver_resume.prototxt", f"--snapshot={snapshot}", "--out=r", "--device=cpu")
    assert done.code == 0
    want = Path("logs/train_resume.stderr.txt").read_text()
    assert_same_lines(lines_of(done.err, *CAFFE), lines_of(want, *CAFFE))


def test_finetuning_from_weights_of_real_caffe(run, golden_copy: Path) -> None:
    weights = "logs/lognet_iter_40.caffemodel"
    solver = "logs/solver_multistep.prototxt"
    done = run("train", solver, "--weights", weights, "--out", "r", "--device", "cpu")
    assert done.code == 0
    want = Path("logs/train_weights.stderr.txt").read_text()
    assert_same_lines(lines_of(done.err, *CAFFE), lines_of(want, *CAFFE))
    assert json.loads(Path("r/run.json").read_text())["files"]["weights"][0]["path"] == weights


def test_scores_are_caffes(run, golden_copy: Path, golden: Path) -> None:
    weights = "logs/lognet_iter_40.caffemodel"
    done = run("test", "--model=logs/net.prototxt", f"--weights={weights}", "--iterations=4", "--device=cpu")
    assert done.code == 0
    want = (golden / "logs" / "test.stderr.txt").read_text()
    assert_same_lines(lines_of(done.err, "caffe.cpp"), lines_of(want, "caffe.cpp"))


def test_scores_need_weights(run, golden_copy: Path) -> None:
    done = run("test", "logs/net.prototxt")
    assert (done.code, done.err.splitlines()[-1]) == (
        1,
        "yosinski: logs/net.prototxt: Need model weights to score; --weights names them",
    )


def test_times_of_all_layers(run, golden_copy: Path, golden: Path) -> None:
    done = run("time", "logs/net.prototxt", "--iterations", 3, "--device", "cpu")
    assert done.code == 0
    want = (golden / "logs" / "time.stderr.txt").read_text()
    words = [[NUMBER.sub("#", line) for line in lines_of(text, "caffe.cpp")] for text in (done.err, want)]
    assert words[0] == words[1]


def test_a_run_directory_trains_the_same_net_again(run, golden_copy: Path) -> None:
    run("train", "logs/solver.prototxt", "--out", "a", "--max-iter", 20, "--seed", 7, "--device", "cpu")
    done = run("train", "a/solver.prototxt", "--out", "b", "--device", "cpu")
    assert done.code == 0
    weights = [Path(name, f"{name}_iter_20.caffemodel").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]
    meta = RunDir(Path("b")).meta
    assert (meta["status"], meta["seed"], meta["max_iter"], meta["iteration"]) == ("finished", 7, 20, 20)


def test_a_net_inside_the_solver(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run directory is one as any other: resumed, scored."""
    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(
        """base_lr: 0.1 lr_policy: "fixed" random_seed: 1 solver_mode: CPU net_param {
          layers { name: "x" type: DUMMY_DATA top: "x" dummy_data_param {
            shape { dim: 2 dim: 3 } data_filler { value: 1 } } }
          layers { name: "ip" type: INNER_PRODUCT bottom: "x" top: "y" inner_product_param { num_output: 3 } }
          layers { name: "loss" type: EUCLIDEAN_LOSS bottom: "y" bottom: "x" top: "loss" } }"""
    )
    assert run("train", "solver.prototxt", "--max-iter=1", "--out=r").code == 0
    assert run("train", "r", "--resume", "--max-iter=2").code == 0
    assert run("test", "r", "--iterations=1", "--device=cpu").code == 0
    net = Net("r/net.prototxt", caffe_pb2.TEST, weights="r/r_iter_2.caffemodel")
    # Each step of the weights and the bias, four in all, takes 0.4 of what is missing.
    assert float(net.forward_layers()) == pytest.approx(1.5 * (0.6**2) ** 2)


def test_the_caffe_of_2014(run, golden_copy: Path) -> None:
    done = run("train", "logs/solver.prototxt", "--out", "r", "--device", "cpu", "--compat", "2014", "--max-iter", 20)
    assert done.code == 0, done.err
    assert "Test score #0: " in Path("r/train.log").read_text()
    directory = RunDir(Path("r"))
    assert directory.meta["compat"].startswith("2014")
    assert directory.newest_weights() == Path("r/r_iter_20")
    assert done.out.startswith("r: 20 iterations, top-1 ") and done.out.endswith(" at iteration 20\n")
    again = run("train", "r", "--resume", "--max-iter", 25, "--device", "cpu", "--compat", "2014,-snapshot_names_2014")
    assert again.code == 0, again.err
    assert directory.newest_weights() == Path("r/r_iter_25.caffemodel")
    wrong = run("train", "logs/solver.prototxt", "--compat", "2013")
    assert (wrong.code, wrong.err.splitlines()[-1].split(",")[0]) == (1, "yosinski: compat: '2013'")


RUNS = ("calm", "run", "hand", "caffe")


@pytest.fixture
def mini(demo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command that trains mini base_A in the current directory, with a line and a snapshot every 5 iterations."""
    monkeypatch.chdir(tmp_path)
    from yosinski.resources import prototxt_dir

    solver = (prototxt_dir() / "mini" / "solver.prototxt").read_text()
    Path("s.prototxt").write_text(re.sub(r"^(snapshot|display): \d+", r"\1: 5", solver, flags=re.M))
    return [*YOSINSKI, "train", "mini/base_A", "--solver=s.prototxt", f"--data-root={demo_data}", "--out=run"]


def start(command: list[str], until: str) -> subprocess.Popen[str]:
    """Start a command and read its log until that line."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stderr is not None
    for line in process.stderr:
        if until in line:
            return process
    raise AssertionError(f"ended with {process.wait()} before {until!r}")


def no_temporary_files() -> bool:
    return not [path for path in Path("run").iterdir() if "tmp" in path.name]


def test_ctrl_c_finishes_the_iteration_and_leaves_a_snapshot(mini: list[str]) -> None:
    process = start([*mini, NEVER], "Iteration 20,")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    iteration = RunDir(Path("run")).iteration
    last = err.splitlines()[-1]
    assert last == f"yosinski: stopped at iteration {iteration}; go on with: yosinski train run --resume --device cpu"
    assert RunDir(Path("run")).meta["status"] == "interrupted"
    assert no_temporary_files()
    again = [*YOSINSKI, "train", "run", "--resume", "--max-iter", str(iteration + 3)]
    done = subprocess.run(again, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (RunDir(Path("run")).iteration, RunDir(Path("run")).finished) == (iteration + 3, True)


def test_killed_and_resumed(mini: list[str]) -> None:
    """Resumed, the run ends as one that was left alone; resumed as Caffe did, as one from the snapshot by hand."""
    process = start([*mini, NEVER], "Iteration 10 (")
    time.sleep(random.uniform(0, 0.2))
    process.kill()
    process.communicate()
    with Path("run/train.log").open("a") as log:
        log.write("half a line")
    shutil.copytree("run", "caffe")
    state = RunDir(Path("run")).newest_state()
    end = snapshot_iteration(state) + 30
    for command in (
        [*mini[:-1], "--out=calm"],
        [*YOSINSKI, "train", "run", "--resume"],
        [*mini[:-1], "--out=hand", f"--snapshot={state}"],
        [*YOSINSKI, "train", "caffe", "--resume-as-caffe"],
    ):
        command.append(f"--max-iter={end}")
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    calm, again, hand, caffe = (Path(name, f"{name}_iter_{end}.caffemodel").read_bytes() for name in RUNS)
    assert again == calm
    assert caffe == hand != calm
    assert "half a line\nI2" in Path("run/train.log").read_text()


def test_no_space_for_a_snapshot(mini: list[str]) -> None:
    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [*mini, "--max-iter=10"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=limit_file_size)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "yosinski: run/run_iter_5.new.caffemodel: cannot write: File too large"
    assert RunDir(Path("run")).snapshots("caffemodel") == []
    assert no_temporary_files()
    assert RunDir(Path("run")).meta["status"] == "failed"


def test_wrong_combinations_of_options(run, tmp_path: Path) -> None:
    done = run("train", "mini/base_A", "--resume", "--force")
    assert done.code == 2
    assert "--snapshot and --resume go on with a run" in done.err
    done = run("train", "mini/base_A", "--resume", "--resume-as-caffe")
    assert (done.code, "exclude each other" in done.err) == (2, True)
