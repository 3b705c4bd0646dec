"""An exact solver, stopped and resumed, ends as one that was never stopped: weights, history and log, bit for bit."""

from __future__ import annotations

import io
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat import compat, glog, rng
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt
from caffe_compat.solver import Solver, exact_state
from caffe_compat.solver.state import read_state

NET = """
name: "cropped"
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 6 mirror: true } data_param { source: "images" batch_size: 5 backend: LMDB }
}
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 6 mirror: true } data_param { source: "images" batch_size: 4 backend: LMDB }
}
layer { name: "scale" type: "Power" bottom: "data" top: "scaled" power_param { scale: 0.01 } }
layer {
  name: "fc1" type: "InnerProduct" bottom: "scaled" top: "fc1"
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } }
}
layer { name: "drop1" type: "Dropout" bottom: "fc1" top: "fc1" }
layer {
  name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
"""
FIELDS = """
base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 max_iter: 12 snapshot_prefix: "snap" snapshot_after_train: true
average_loss: 4 display: 1 test_interval: 4 test_iter: 3
"""
KILLED = """
import sys, time, torch
from caffe_compat.solver import Solver, exact_state
from pathlib import Path

torch.set_num_threads(1)
solver = Solver("solver.prototxt", exact=True)
solver.add_callback(lambda: time.sleep(0.01), lambda: None)  # some snapshots until it is killed, not hundreds
states = sorted(Path().glob("snap*.solverstate"), key=lambda path: int(path.stem.rpartition("_")[2]))
if states:
    solver.restore(states[-1])
print("training", flush=True)
solver.solve()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a database of 13 images, so that no epoch is a whole number of batches."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.RandomState(0).randint(0, 256, (13, 1, 8, 8)).astype(np.uint8)
    with create_db("images", "lmdb") as db:
        for i, image in enumerate(pixels):
            datum = caffe_pb2.Datum(channels=1, height=8, width=8, data=image.tobytes(), label=i % 3)
            db.put(b"%02d" % i, serialize(datum))
    return tmp_path


def param(fields: str = "", net: str = NET) -> Any:
    found = prototxt.parse(FIELDS, caffe_pb2.SolverParameter)
    found.net_param.CopyFrom(prototxt.parse(net, caffe_pb2.NetParameter))
    found.MergeFrom(prototxt.parse(fields, caffe_pb2.SolverParameter))
    return found


def logged(work: Callable[[], None]) -> list[str]:
    """The lines of losses and scores."""
    stream = io.StringIO()
    handler = glog.attach(stream)
    try:
        work()
    finally:
        glog.detach(handler)
    lines = re.findall(r"\] (Iteration \d+.*loss = .*| +Test net .*)", stream.getvalue())
    return [re.sub(r" \([^)]*iter/s[^)]*\)", "", line) for line in lines]


def undisturbed(definition: Any) -> list[str]:
    rng.set_random_seed(3)
    solver = Solver(definition, exact=True)
    return logged(solver.solve)


def files(iteration: int, prefix: str = "snap") -> list[Any]:
    """Weights, history and iteration of a snapshot."""
    state = read_state(f"{prefix}_iter_{iteration}.solverstate")
    weights = Path(f"{prefix}_iter_{iteration}.caffemodel").read_bytes()
    return [weights, state.iter, state.current_step, *(array.tobytes() for array in state.history)]


@pytest.mark.parametrize("at", [1, 4, 7, 11])
def test_goes_on_to_the_bit(folder: Path, at: int) -> None:
    lines = undisturbed(param(f"snapshot: {at}"))
    wanted = files(12)
    rng.set_random_seed(99)  # whatever the process has drawn before
    solver = Solver(param(), exact=True)
    solver.restore(f"snap_iter_{at}.solverstate")
    again = logged(solver.solve)
    assert again == lines[-len(again) :] and len(again) > 12 - at
    assert files(12) == wanted


def test_as_caffe_did_differs(folder: Path) -> None:
    undisturbed(param("snapshot: 4"))
    wanted = files(12)
    rng.set_random_seed(99)
    solver = Solver(param(), exact=True)
    solver.restore("snap_iter_4.solverstate", exact=False)
    solver.solve()
    assert files(12) != wanted


def test_caffe_writes_a_pair(folder: Path) -> None:
    Solver(param("max_iter: 1")).solve()
    assert sorted(path.name for path in folder.glob("snap*")) == ["snap_iter_1.caffemodel", "snap_iter_1.solverstate"]


def test_a_test_that_was_stopped_begins_anew(folder: Path) -> None:
    """Its images have been read in part; the test after the resume sees all of them, in their order."""
    lines = undisturbed(param())
    wanted = files(12)
    rng.set_random_seed(3)
    solver = Solver(param(), exact=True)
    forward, passes = solver.test_nets[0].forward_layers, iter(range(99))

    def counted(*args: Any) -> Any:
        if next(passes) == 4:  # the second pass of the second test
            solver.request("stop")
        return forward(*args)

    solver.test_nets[0].forward_layers = counted  # type: ignore[method-assign]
    solver.solve()
    assert solver.iter == 4
    again = Solver(param(), exact=True)
    again.restore("snap_iter_4.solverstate")
    rest = logged(again.solve)
    assert rest == lines[-len(rest) :]
    assert files(12) == wanted


def test_2014(folder: Path) -> None:
    """One rand() for all layers, and a first test batch that is cropped at random, if no test has been yet."""
    calm = NET.replace(
        ' mirror: true } data_param { source: "images" batch_size: 4', ' } data_param { source: "images" batch_size: 4'
    )
    with compat.use("2014"):
        rng.set_random_seed(3)
        Solver(param("snapshot: 2", calm), exact=True).solve()
    wanted = Path("snap_iter_12").read_bytes()
    for at in (0, 2, 6):
        with compat.use("2014"):
            solver = Solver(param("", calm), exact=True)
            solver.restore(f"snap_iter_{at}.solverstate")
            solver.solve()
        assert Path("snap_iter_12").read_bytes() == wanted, at


RECURRENT = """
layer {
  name: "rows" type: "HDF5Data" top: "x" top: "y"
  hdf5_data_param { source: "list.txt" batch_size: 4 shuffle: true }
}
layer { name: "sequence" type: "Reshape" bottom: "x" top: "sequence" reshape_param { shape { dim: 2 dim: 2 dim: 3 } } }
layer {
  name: "cont" type: "DummyData" top: "cont"
  dummy_data_param { shape { dim: 2 dim: 2 } data_filler { type: "constant" value: 1 } }
}
layer {
  name: "lstm" type: "LSTM" bottom: "sequence" bottom: "cont" top: "h"
  recurrent_param { num_output: 2 weight_filler { type: "uniform" min: -0.5 max: 0.5 } }
}
layer { name: "flat" type: "Reshape" bottom: "h" top: "flat" reshape_param { shape { dim: 4 dim: 2 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "flat" bottom: "y" top: "loss" }
"""


def test_hdf5_and_recurrent_layers(folder: Path) -> None:
    import h5py

    values = np.random.RandomState(1).rand(2, 7, 5).astype(np.float32)
    for i in range(2):
        with h5py.File(f"{i}.h5", "w") as file:
            file["x"], file["y"] = values[i, :, :3], values[i, :, 3:]
    Path("list.txt").write_text("0.h5\n1.h5\n")
    lines = undisturbed(param("snapshot: 5 test_iter: 1", RECURRENT))
    wanted = files(12)
    solver = Solver(param("test_iter: 1", RECURRENT), exact=True)
    solver.restore("snap_iter_5.solverstate")
    again = logged(solver.solve)
    assert again == lines[-len(again) :]
    assert files(12) == wanted


def test_errors_are_one_line(folder: Path) -> None:
    undisturbed(param("max_iter: 2 snapshot: 1"))
    state, exact = Path("snap_iter_1.solverstate"), Path("snap_iter_1.exact")
    content, weights = exact.read_bytes(), Path("snap_iter_1.caffemodel").read_bytes()

    def fails(match: str, net: str = NET) -> None:
        solver = Solver(param(net=net), exact=True)
        before = [parameter.parameter.data.clone() for parameter in solver.net.learnable]
        with pytest.raises(CaffeError, match=match) as error:
            solver.restore(state)
        assert "\n" not in str(error.value)
        assert solver.iter == 0 or net != NET
        if net == NET:
            assert all((a == b.parameter.data).all() for a, b in zip(before, solver.net.learnable))

    exact.unlink()
    fails(r"without snap_iter_1.exact, which is missing")
    for damaged in (b"", content[:100], b"x" * 1000):
        exact.write_bytes(damaged)
        fails(r"snap_iter_1.exact: no record of an exact snapshot, or a damaged one")
    exact.write_bytes(Path("snap_iter_2.exact").read_bytes())
    fails(r"snap_iter_1.exact: does not belong to snap_iter_1.solverstate")
    exact.write_bytes(content)
    Path("snap_iter_1.caffemodel").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    fails(r"does not belong to snap_iter_1.caffemodel, which was changed")
    Path("snap_iter_1.caffemodel").unlink()
    fails(r"snap_iter_1.caffemodel is missing")
    Path("snap_iter_1.caffemodel").write_bytes(weights)
    fails(r"of other nets: .*'data'", NET.replace('name: "data"', 'name: "input"'))


def newest() -> int:
    """The iteration of the newest snapshot; 0 where there is none."""
    return max((int(path.stem.rpartition("_")[2]) for path in Path().glob("snap*.solverstate")), default=0)


def test_a_killed_run_ends_like_one_that_was_not(folder: Path) -> None:
    definition = param("snapshot: 2 max_iter: 1000000 random_seed: 5")  # never over before it is killed
    chance = random.Random(4)
    for kill in (True, True, False):
        if not kill:
            definition.max_iter = newest() + 6
        Path("solver.prototxt").write_text(prototxt.format(definition))
        seen = newest()
        # What it says goes nowhere but for the word that training begins.
        with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "training\n"
            if kill:
                while child.poll() is None and newest() == seen:
                    time.sleep(0.002)
                time.sleep(chance.uniform(0, 0.1))
                child.kill()
        assert child.returncode == (-signal.SIGKILL if kill else 0)
    end = definition.max_iter
    definition.snapshot_prefix = "calm"
    undisturbed(definition)
    assert files(end) == files(end, "calm")
    assert exact_state.read(Path(f"snap_iter_{end}.solverstate"))["iter"] == end
