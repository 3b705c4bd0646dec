"""Snapshots: a pair of files, whole or not there, that Caffe and we go on from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from caffe_compat import weights
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from caffe_compat.solver import Solver, snapshot
from caffe_compat.solver.state import SolverState, read_state, to_bytes

Tiny = Callable[..., Solver]
GOLDEN = Path(__file__).parents[2] / "golden"
FORMATS = {"BINARYPROTO": "", "HDF5": ".h5"}


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def same_weights(a: Solver, b: Solver) -> bool:
    return all(torch.equal(p.parameter, q.parameter) for p, q in zip(a.net.learnable, b.net.learnable))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_solver_goes_on_where_the_other_was(tiny: Tiny, kind: str) -> None:
    fields = f'snapshot_format: {kind} lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 5'
    first = tiny(fields)
    first.step(4)
    path = first.snapshot()
    assert path == f"snap_iter_4.solverstate{FORMATS[kind]}"
    assert files() == [f"snap_iter_4.caffemodel{FORMATS[kind]}", path]
    second = tiny(fields)
    assert not same_weights(first, second)
    second.restore(path)
    assert (second.iter, second.optimizer.policy.current_step) == (4, 1)
    assert same_weights(first, second)
    assert all(torch.equal(a, b) for a, b in zip(first.optimizer.history, second.optimizer.history))


def test_caffes_message_reads_ours(tiny: Tiny) -> None:
    solver = tiny()
    solver.step(2)
    state = caffe_pb2.SolverState.FromString(Path(solver.snapshot()).read_bytes())
    assert (state.iter, state.learned_net, state.current_step) == (2, "snap_iter_2.caffemodel", 0)
    assert [list(blob.shape.dim) for blob in state.history] == [[4, 5], [4], [3, 4], [3]]
    np.testing.assert_array_equal(state.history[0].data, solver.optimizer.history[0].flatten())


@pytest.mark.parametrize("suffix", FORMATS.values())
def test_states_of_caffe_are_written_back_alike(suffix: str, tmp_path: Path) -> None:
    path = next((GOLDEN / "solvers").glob(f"*/snap_iter_*.solverstate{suffix}"))
    state = read_state(path)
    copy = tmp_path / f"copy{suffix}"
    copy.write_bytes(to_bytes(state, hdf5=bool(suffix)))
    again = read_state(copy)
    assert (again.iter, again.learned_net, again.current_step) == (state.iter, state.learned_net, state.current_step)
    assert all(np.array_equal(a, b) for a, b in zip(again.history, state.history))
    if not suffix:
        assert copy.read_bytes() == path.read_bytes()


def test_diffs_are_written_on_demand(tiny: Tiny) -> None:
    solver = tiny("snapshot_diff: true")
    solver.step(1)
    solver.snapshot()
    model = caffe_pb2.NetParameter.FromString(Path("snap_iter_1.caffemodel").read_bytes())
    blob = next(layer for layer in model.layer if layer.name == "fc1").blobs[0]
    np.testing.assert_array_equal(blob.diff, solver.optimizer.history[0].flatten())  # the update, not the gradient


def test_weights_are_found_beside_a_state_that_has_moved(tiny: Tiny) -> None:
    solver = tiny('snapshot_prefix: "far/away/snap"')
    solver.step(1)
    solver.snapshot()
    shutil.move("far/away", "here")
    other = tiny()
    other.restore("here/snap_iter_1.solverstate")
    assert same_weights(solver, other)
    Path("here/snap_iter_1.caffemodel").unlink()
    words = "here/snap_iter_1.solverstate: its weights are missing: neither far/away/snap_iter_1.caffemodel nor here/"
    with pytest.raises(CaffeError, match=f"^{words}"):
        other.restore("here/snap_iter_1.solverstate")


@pytest.mark.parametrize("suffix", FORMATS.values())
def test_damaged_states(tiny: Tiny, suffix: str) -> None:
    """Cut anywhere, a state is refused with one line, and the solver stays as it was."""
    solver = tiny(f"snapshot_format: {'HDF5' if suffix else 'BINARYPROTO'}")
    solver.step(1)
    path = Path(solver.snapshot())
    content = path.read_bytes()
    other = tiny()
    before = other.net.params["fc1"][0].data.copy()
    for length in [0, 1, 7, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(CaffeError, match=rf"^snap_iter_1.solverstate{suffix}: [^\n]+$"):
            other.restore(path)
    path.write_bytes(b"no state at all")
    with pytest.raises(CaffeError, match=r"not a \.solverstate"):
        other.restore(path)
    assert other.iter == 0
    np.testing.assert_array_equal(other.net.params["fc1"][0].data, before)


def test_other_things_than_states(tiny: Tiny) -> None:
    solver = tiny()
    solver.step(1)
    state = solver.snapshot()
    with pytest.raises(CaffeError, match=r"^none\.solverstate: cannot read the solver state: No such file"):
        solver.restore("none.solverstate")
    with pytest.raises(CaffeError, match=r"^none\.h5: cannot read the solver state: no such file"):
        solver.restore("none.h5")
    with pytest.raises(CaffeError, match=r"^snap_iter_1\.caffemodel: no iteration in it"):
        solver.restore("snap_iter_1.caffemodel")
    Path("snap_iter_1.caffemodel").write_bytes(b"\x0a")
    with pytest.raises(CaffeError, match=r"^snap_iter_1\.caffemodel: "):
        solver.restore(state)


def test_a_state_of_another_net(tiny: Tiny) -> None:
    solver = tiny()
    Path("x.solverstate").write_bytes(to_bytes(SolverState(3, "", 0, [np.zeros((2, 2), np.float32)])))
    words = r"^x\.solverstate: Incorrect length of history blobs: 1; 4 parameters with SGD need 4$"
    with pytest.raises(CaffeError, match=words):
        solver.restore("x.solverstate")
    assert solver.iter == 0


@pytest.mark.parametrize("fails", ["weights", "state"])
def test_what_fails_leaves_earlier_files_alone(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    solver = tiny()
    solver.step(1)
    solver.snapshot()
    before = {name: Path(name).read_bytes() for name in files()}
    solver.step(1)
    solver.iter = 1  # another run reaches the same iteration

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device") if fails == "state" else CaffeError("No space left on device")

    monkeypatch.setattr(*((weights, "save") if fails == "weights" else (snapshot, "to_bytes")), refuse)
    with pytest.raises(CaffeError, match="No space left on device"):
        solver.snapshot()
    assert {name: Path(name).read_bytes() for name in files()} == before


FULL_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from conftest import solver_param
from caffe_compat.errors import CaffeError
from caffe_compat.solver import Solver

for kind in ("BINARYPROTO", "HDF5"):
    solver = Solver(solver_param("snapshot_format: " + kind))
    solver.step(1)
    for room in (300, 100, 0):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            solver.snapshot()
        except CaffeError as error:
            print(error)
"""


def test_no_space(tmp_path: Path) -> None:
    """The system refuses to let files grow: one line says so, and nothing half-written stays."""
    command = [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["cannot write: File too large"] * 6, done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("prefix", ["", "file/snap", "closed/snap"])
def test_prefixes_that_cannot_be_written(tiny: Tiny, prefix: str) -> None:
    tiny()
    Path("file").touch()
    Path("closed").mkdir(0o555)
    if prefix.startswith("closed") and os.access("closed", os.W_OK):
        pytest.skip("nothing is closed to this user")
    words = "snapshot_prefix is not" if not prefix else f"Cannot write to snapshot prefix '{prefix}'"
    with pytest.raises(CaffeError, match=f"^solver: .*{words}"):
        tiny(f'snapshot: 5 snapshot_prefix: "{prefix}"')


def test_the_folder_of_snapshots_is_made(tiny: Tiny) -> None:
    solver = tiny('snapshot: 1 snapshot_prefix: "new/folder/snap"')
    solver.step(1)
    assert files() == ["new/folder/snap_iter_1.caffemodel", "new/folder/snap_iter_1.solverstate"]


LEARNING = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "data.txt" batch_size: 6 } }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "prelu" type: "PReLU" bottom: "conv" top: "conv" }
layer {
  name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" param { lr_mult: 1 } param { lr_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
RATES = {
    "SGD": 'momentum: 0.9 lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 6',
    "Nesterov": 'momentum: 0.9 lr_policy: "inv" gamma: 0.1 power: 0.75 iter_size: 2',
    "AdaGrad": 'momentum: 0 lr_policy: "step" gamma: 0.5 stepsize: 3',
    "RMSProp": 'momentum: 0 lr_policy: "exp" gamma: 0.9 rms_decay: 0.9',
    "AdaDelta": 'momentum: 0.9 delta: 1e-6 lr_policy: "fixed" clip_gradients: 0.5',
    "Adam": 'momentum: 0.9 momentum2: 0.99 lr_policy: "poly" power: 1 regularization_type: "L1"',
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("solver_type", RATES)
def test_a_restored_run_goes_on_bit_for_bit(tmp_path: Path, tiny: Tiny, solver_type: str, kind: str) -> None:
    """Eight iterations in one go, and four by one solver and four by another that knows only the first one's files."""
    rng = np.random.default_rng(5)
    with h5py.File("data.h5", "w") as file:
        file["data"] = rng.normal(size=(6, 2, 5, 5)).astype(np.float32)
        file["label"] = np.array([0, 1, 2, 0, 1, 2], np.float32)
    Path("data.txt").write_text("data.h5\n")
    fields = f'type: "{solver_type}" snapshot_format: {kind} {RATES[solver_type]}'
    whole = tiny(fields, LEARNING)
    whole.step(8)
    first = tiny(fields, LEARNING)
    first.step(4)
    second = tiny(f"{fields} random_seed: 99", LEARNING)
    second.restore(first.snapshot())
    second.step(4)
    assert second.iter == whole.iter == 8
    assert len(whole.net.learnable) == 10  # BatchNorm's statistics are among them
    assert same_weights(second, whole) and not same_weights(first, whole)
    assert all(torch.equal(a, b) for a, b in zip(second.optimizer.history, whole.optimizer.history, strict=True))
    assert float(second.net.forward_layers()) == float(whole.net.forward_layers())
