"""`torchrun -m yosinski train`: two processes, as torchrun starts them, train one net with the numbers of one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch

from caffe_compat.proto import binary, raw_blobs
from caffe_compat.solver import exact_state
from yosinski.resources import prototxt_dir
from yosinski.run_dir import RunDir

from .test_train import ENVIRONMENT, NUMBER, YOSINSKI, lines_of

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "yosinski"]
PASS_NOISE = 1e-6  # |difference| / |weights| after the first iterations, which is what float32 leaves
# Max pooling and ReLU make the mini nets chaotic: one process whose initial weights differ by 1e-7 ends 20 iterations
# at this learning rate with a difference of 3e-5.
RUN_NOISE = 2e-4


@pytest.fixture(scope="module")
def folder(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of mini base_A, ``one`` by one process and ``two`` by two."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "data").symlink_to(demo_data / "data")
    solver = (prototxt_dir() / "mini" / "solver.prototxt").read_text()
    fields = {"snapshot": 5, "display": 1, "test_interval": 10, "test_iter": 4, "base_lr": 0.001, "max_iter": 20}
    for name, value in fields.items():
        solver = re.sub(rf"^{name}: .*", f"{name}: {value}", solver, flags=re.M)
    (folder / "s.prototxt").write_text(solver)
    for name, program in (("one", YOSINSKI), ("two", TORCHRUN)):
        done = train(program, folder, "mini/base_A", "--solver=s.prototxt", f"--out={name}")
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(rf"{name}: 20 iterations, top-1 0.\d+ at iteration 20\n", done.stdout)
    return folder


def train(program: list[str], folder: Path, *arguments: str, device: str = "cpu") -> subprocess.CompletedProcess[str]:
    command = [*program, "train", *arguments, f"--device={device}"]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


def blobs(path: Path) -> dict[str, np.ndarray]:
    """All parameters of a layer in one array, by layer."""
    net = binary.read(path, raw_blobs.message_class("NetParameter"))
    return {
        layer.name: np.concatenate([raw_blobs.to_array(blob).ravel() for blob in layer.blobs])
        for layer in net.layer
        if layer.blobs
    }


def difference(mine: Path, theirs: Path) -> float:
    a, b = (np.concatenate(list(blobs(path).values())) for path in (mine, theirs))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_weights_are_those_of_one_process(folder: Path) -> None:
    """With dropout, random crops and mirrors, and batches that reach across the end of the data."""
    for iteration, noise in ((5, PASS_NOISE), (20, RUN_NOISE)):
        one, two = (folder / name / f"{name}_iter_{iteration}.caffemodel" for name in ("one", "two"))
        assert difference(two, one) < noise


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_weights_are_those_of_one_gpu(folder: Path) -> None:
    for name, program in (("gpu", YOSINSKI), ("gpus", TORCHRUN)):
        done = train(program, folder, "mini/base_A", "--solver=s.prototxt", f"--out={name}", device="cuda")
        assert done.returncode == 0, done.stderr
    assert difference(folder / "gpus" / "gpus_iter_5.caffemodel", folder / "gpu" / "gpu_iter_5.caffemodel") < 1e-5


def test_log_and_scores_are_those_of_one_process(folder: Path) -> None:
    one, two = (lines_of((folder / name / "train.log").read_text(), "solver.cpp") for name in ("one", "two"))
    assert [NUMBER.sub("#", line) for line in two] == [NUMBER.sub("#", line) for line in one]
    pattern = re.compile(r"(?:loss|accuracy) = (\S+)")
    scores = [[float(number) for line in lines for number in pattern.findall(line)] for lines in (one, two)]
    assert len(scores[0]) > 40
    assert scores[1] == pytest.approx(scores[0], rel=1e-3, abs=0.0051)  # a test has 200 images, one may tip over
    meta = [RunDir(folder / name).meta for name in ("one", "two")]
    assert [(m["processes"], m["status"], m["iteration"]) for m in meta] == [(1, "finished", 20), (2, "finished", 20)]


def test_data_and_random_streams_stand_where_those_of_one_process_do(folder: Path) -> None:
    one, two = (exact_state.read(folder / name / f"{name}_iter_15.solverstate") for name in ("one", "two"))
    for name in ("nets", "main", "rand"):
        np.testing.assert_equal(two[name], one[name])
    assert two["nets"][0][0][1]["records"] == 15 * 64


def test_resumed_by_one_process(folder: Path) -> None:
    run = folder / "less"
    run.mkdir()
    for path in (folder / "two").iterdir():
        if "iter_15" not in path.name and "iter_20" not in path.name:
            shutil.copy(path, run)
    done = train(YOSINSKI, folder, "less", "--resume")
    assert done.returncode == 0, done.stderr
    assert difference(run / "less_iter_20.caffemodel", folder / "two" / "two_iter_20.caffemodel") < RUN_NOISE
    assert RunDir(run).meta["processes"] == 1


def test_a_frozen_net(folder: Path) -> None:
    weights = "--weights=one"
    for name, program in (("frozen_one", YOSINSKI), ("frozen_two", TORCHRUN)):
        arguments = ("mini/transfer_A3B", "--solver=s.prototxt", weights, f"--out={name}", "--max-iter=5")
        done = train(program, folder, *arguments)
        assert done.returncode == 0, done.stderr
    base = blobs(folder / "one" / "one_iter_20.caffemodel")
    one, two = (blobs(folder / name / f"{name}_iter_5.caffemodel") for name in ("frozen_one", "frozen_two"))
    for layer in ("conv1", "conv2", "conv3"):
        assert (two[layer] == base[layer]).all()
    for layer, values in two.items():
        assert np.linalg.norm(values - one[layer]) < 1e-5 * np.linalg.norm(one[layer])


def test_an_error_in_one_process_ends_both_with_one_line(folder: Path) -> None:
    """A damaged record in the second process's part of the first batch."""
    data = folder / "damaged" / "data" / "mini"
    shutil.copytree(folder / "data" / "mini", data)
    with lmdb.open(str(data / "A_train_lmdb")) as db, db.begin(write=True) as transaction:
        key = list(transaction.cursor().iternext(values=False))[40]
        transaction.put(key, b"damaged")
    done = train(TORCHRUN, folder, "mini/base_A", "--solver=s.prototxt", "--out=broken", "--data-root=damaged")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "yosinski:" in line]
    assert "A_train_lmdb" in line and key.decode() in line
    meta = RunDir(folder / "broken").meta
    assert (meta["status"], f"yosinski: {meta['reason']}") == ("failed", line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_both_at_one_iteration(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C goes to torchrun, which passes it on; SIGTERM here to the second process alone."""
    name = number.name
    command = [*TORCHRUN, "train", "mini/base_A", "--solver=s.prototxt", f"--out={name}", "--device=cpu"]
    more = ["--max-iter=100000", "--data-root=."]
    process = subprocess.Popen(
        [*command, *more], cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Iteration 11 (" in line:
            break
    if number == signal.SIGINT:
        process.send_signal(number)
    else:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[-1]), number)
    _, err = process.communicate(timeout=300)
    run = RunDir(folder / name)
    again = f"torchrun --nproc-per-node=2 -m yosinski train {name} --resume --device cpu"
    said = [line for line in err.splitlines() if line.startswith("yosinski: ")]
    assert said == [f"yosinski: stopped at iteration {run.iteration}; go on with: {again}"]
    assert (run.meta["status"], run.meta["iteration"]) == ("interrupted", run.iteration)
    assert run.newest_state(exact=True).name == f"{name}_iter_{run.iteration}.solverstate"
    assert not [path for path in run.path.iterdir() if "tmp" in path.name or ".new." in path.name]
