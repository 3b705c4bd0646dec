"""Run directories: what they refuse, what they note, which snapshot they offer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TextIO

import pytest

from caffe_compat.errors import CaffeError
from yosinski import run_dir
from yosinski.lock import try_lock
from yosinski.provenance import describe_file
from yosinski.run_dir import RunDir, snapshot_iteration


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "base_A")


def snapshot(run: RunDir, iteration: int, *suffixes: str) -> None:
    for suffix in suffixes:
        (run.path / f"{run.name}_iter_{iteration}.{suffix}").write_bytes(b"x")


def test_an_unfinished_run_is_not_overwritten(run: RunDir) -> None:
    run.open(resume=False, force=False)
    run.begin(device="cpu")
    snapshot(run, 40, "caffemodel", "solverstate")
    run.close()
    with pytest.raises(CaffeError, match=r"an unfinished run, at iteration 40; --resume goes on, --force starts over"):
        run.open(resume=False, force=False)
    run.open(resume=True, force=False)
    run.close()
    assert run.newest_state().exists()


def test_a_finished_run_is_kept_even_from_resuming(run: RunDir) -> None:
    run.open(resume=False, force=False)
    run.begin(device="cpu")
    snapshot(run, 60, "caffemodel", "solverstate")
    run.end("finished", 60)
    run.close()
    assert run.finished
    for resume in (False, True):
        with pytest.raises(CaffeError, match="this run has finished; --force starts it over"):
            run.open(resume=resume, force=False, max_iter=60)
    run.open(resume=True, force=False, max_iter=61)


def test_force_clears_the_old_run(run: RunDir) -> None:
    run.open(resume=False, force=False)
    run.begin(device="cpu")
    snapshot(run, 40, "caffemodel", "solverstate")
    run.log.write_text("old\n")
    run.end("finished", 40)
    run.close()
    run.open(resume=False, force=True)
    assert run.snapshots("caffemodel") == run.snapshots("solverstate") == []
    assert run.log.read_text() == ""


def test_a_run_that_failed_before_its_first_snapshot_may_simply_be_tried_again(run: RunDir) -> None:
    run.open(resume=False, force=False)
    run.begin(device="cpu")
    run.end("failed", 0, reason="no such layer")
    run.close()
    run.open(resume=False, force=False)


def test_two_processes_cannot_train_in_one_directory(run: RunDir) -> None:
    run.open(resume=False, force=False)
    with pytest.raises(CaffeError, match="another process is training here"):
        RunDir(run.path).open(resume=False, force=False)


def test_a_run_that_ends_while_another_waits_for_it_is_kept(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    run.open(resume=False, force=False)
    run.begin(device="cpu")

    def at_the_last_moment(log: TextIO) -> bool:
        snapshot(run, 60, "caffemodel", "solverstate")
        run.end("finished", 60)
        run.close()
        return try_lock(log)

    with monkeypatch.context() as patch, pytest.raises(CaffeError, match="this run has finished"):
        patch.setattr(run_dir, "try_lock", at_the_last_moment)
        RunDir(run.path).open(resume=False, force=False)
    assert run.newest_weights() is not None
    assert not run.busy


def test_what_a_killed_process_has_not_finished_is_removed(run: RunDir) -> None:
    run.path.mkdir(parents=True)
    whole = ["base_A_iter_7.caffemodel", "base_A_iter_7.exact", ".base_A_iter_7.onnx.abc.tmp", ".mine"]
    left = [".base_A_iter_14.solverstate.abc.tmp", ".base_A_iter_14.exact.abc.tmp", "base_A_iter_14.new.caffemodel"]
    left += [".base_A_iter_14.new.caffemodel.h5.abc.tmp", ".run.json.abc.tmp", ".net.prototxt.abc.tmp"]
    for name in whole + left:
        (run.path / name).touch()
    run.open(resume=True, force=False)
    run.close()
    assert sorted(path.name for path in run.path.iterdir()) == sorted([*whole, "train.log"])


def test_newest_state_needs_its_weights(run: RunDir) -> None:
    run.path.mkdir()
    snapshot(run, 20, "caffemodel", "solverstate")
    snapshot(run, 100, "caffemodel", "solverstate")
    snapshot(run, 120, "solverstate")
    newest = run.newest_weights()
    assert newest is not None and snapshot_iteration(newest) == 100
    assert snapshot_iteration(run.newest_state()) == 100


def test_newest_state_of_a_run_without_snapshots_is_an_error(run: RunDir) -> None:
    with pytest.raises(CaffeError, match="no snapshot to resume from"):
        run.newest_state()


@pytest.mark.parametrize(
    ("name", "iteration"),
    [
        ("a_iter_7.caffemodel", 7),
        ("a_iter_450000.solverstate.h5", 450000),
        ("a_iter_x.caffemodel", -1),
        (".a_iter_7.caffemodel.tmp", -1),
        ("mean.binaryproto", -1),
    ],
)
def test_iteration_of_a_name(name: str, iteration: int) -> None:
    assert snapshot_iteration(Path(name)) == iteration


def test_metadata_keeps_the_sessions_of_a_resumed_run(run: RunDir, tmp_path: Path) -> None:
    weights = tmp_path / "w.caffemodel"
    weights.write_bytes(b"weights")
    run.path.mkdir()
    run.begin(device="cpu", seed=1, files=describe_file(weights))
    run.end("interrupted", 40)
    run.begin(device="cpu", seed=1, resumed_from="base_A_iter_40.solverstate")
    run.end("finished", 60, scores={"accuracy": 0.5})
    meta = json.loads((run.path / "run.json").read_text())
    assert meta["status"] == "finished" and meta["iteration"] == 60 and meta["scores"] == {"accuracy": 0.5}
    assert [s["resumed_from"] for s in meta["sessions"]] == [None, "base_A_iter_40.solverstate"]
    assert all(s["started"] and s["ended"] for s in meta["sessions"])
    assert meta["versions"]["torch"] and meta["versions"]["python"].count(".") == 2
    assert describe_file(weights)["sha256"] == hashlib.sha256(b"weights").hexdigest()


def test_broken_metadata_is_an_error_in_one_line(run: RunDir) -> None:
    run.path.mkdir()
    run.meta_path.write_text("{")
    with pytest.raises(CaffeError, match=r"run\.json: not a run's metadata"):
        _ = run.meta
