"""What is done stays as it is, and what has changed is refused; the tests train in this process, without Snakemake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.data.db import open_db
from caffe_compat.data.index_db import IndexDb
from caffe_compat.data.mean import compute_image_mean, read_mean
from caffe_compat.errors import CaffeError
from yosinski.demo_data import CLASSES
from yosinski.study.fashion import ABOVE_THE_WAIST
from yosinski.study.folder import Folder, Options
from yosinski.study.jobs import run_job
from yosinski.study.plan import make_plan
from yosinski.study.presets import find_preset
from yosinski.study.results import read_results, table
from yosinski.study.speed import find_speed
from yosinski.study.status import read_status, summary


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny study with its data, its base nets, and one transfer net."""
    folder = tmp_path_factory.mktemp("study") / "tiny"
    Folder(folder).write(make_plan(find_preset("tiny")), Options())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for step, names in (
            ("images", []),
            ("splits", []),
            ("means", []),
            ("train", ["half0A", "half0B", "transfer0A0B_1_3"]),
        ):
            assert run_job(step, names) == 0
    return folder


@pytest.fixture
def study(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A copy of it as current directory."""
    shutil.copytree(begun, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    return Folder(Path())


def test_data(study: Folder) -> None:
    with open_db("data/train_lmdb") as whole, IndexDb("data/half0A_train.index") as half:
        assert (len(whole), len(half)) == (4000, 2000)
        assert {label for _, _, label in half.entries()} == set(range(5))
    assert np.allclose(read_mean("data/half0A_mean.binaryproto"), compute_image_mean("data/half0A_train.index"))
    with open_db("data/half0A_sample_lmdb") as sample, IndexDb("data/half0A_valid.index") as valid:
        assert len(sample) == 50
        names = [bytes(key)[9:] for key, _ in sample.records()]
        assert names == [key[9:] for _, key, _ in valid.entries()][:50]


def test_unlike_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Folder(tmp_path).write(make_plan(find_preset("mini")), Options())
    monkeypatch.chdir(tmp_path)
    assert run_job("images", []) == run_job("splits", []) == 0
    for half, expected in (("A", set(ABOVE_THE_WAIST)), ("B", set(CLASSES) - set(ABOVE_THE_WAIST))):
        lines = Path(f"data/halfnatman{half}_valid.txt").read_text().splitlines()
        assert {line.split("/")[1] for line in lines} == expected
        assert len(lines) == 500
    with IndexDb("data/reduced0010_train.index") as reduced:
        assert len(reduced) == 100


def test_what_is_done_is_not_done_again(study: Folder) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.runs.glob("*/*") if path.name != "done.json"}
    Path("runs/half0A/done.json").unlink()
    assert run_job("train", ["half0A", "half0B"]) == 0
    assert json.loads(Path("runs/half0A/done.json").read_text())["iterations"] == 20
    assert before == {path: path.stat().st_mtime_ns for path in study.runs.glob("*/*") if path.name != "done.json"}


def test_only_the_newest_snapshots_are_kept(study: Folder) -> None:
    assert sorted(path.name for path in Path("runs/half0A").glob("*_iter_*")) == [
        f"half0A_iter_{at}.{kind}" for at in (16, 20) for kind in ("caffemodel", "exact", "solverstate")
    ]


def test_trained_together_they_are_as_alone(study: Folder) -> None:
    weights = Path("runs/transfer0A0B_1_3/transfer0A0B_1_3_iter_20.caffemodel")
    alone = weights.read_bytes()
    shutil.rmtree(weights.parent)
    assert run_job("train", ["transfer0A0B_1_3", "transfer-ft0A0B_1_1"]) == 0
    assert weights.read_bytes() == alone
    metas = [study.run(name).meta for name in ("transfer0A0B_1_3", "transfer-ft0A0B_1_1")]
    assert [meta["data_seed"] for meta in metas] == [study.read()["data_seeds"]["half0B"]] * 2
    began, ended = ([meta["sessions"][0][key] for meta in metas] for key in ("started", "ended"))
    assert max(began) <= min(ended)


def test_a_study_goes_on_with_the_seeds_that_it_was_begun_with(study: Folder) -> None:
    facts = study.read()
    del facts["data_seeds"]  # as before there were any
    study.study.write_text(json.dumps(facts))
    study.write(make_plan(find_preset("tiny")), Options())
    assert study.read()["data_seeds"] == {}
    assert run_job("train", ["transfer-ft0A0B_1_1"]) == 0
    assert study.run("transfer-ft0A0B_1_1").meta["data_seed"] is None


def refused(match: str, name: str = "half0A") -> None:
    with pytest.raises(CaffeError, match=match) as error:
        run_job("train", [name])
    assert "\n" not in str(error.value)


def test_weights_that_have_changed(study: Folder) -> None:
    weights = Path("runs/half0A/half0A_iter_20.caffemodel")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    refused("^runs/half0A: its weights are missing or have changed since it finished; remove runs/half0A to train it")


def test_a_log_without_its_end(study: Folder) -> None:
    log = Path("runs/half0A/train.log")
    log.write_bytes(log.read_bytes()[:-500])
    refused("^runs/half0A/train.log: the log of a finished run has no end; ")


def test_a_base_that_was_trained_again(study: Folder) -> None:
    meta = Path("runs/half0A/run.json")
    facts = json.loads(meta.read_text())
    facts["weights"]["sha256"] = "0" * 64
    meta.write_text(json.dumps(facts))
    refused("^runs/transfer0A0B_1_3: started from other weights of half0A than those now there; ", "transfer0A0B_1_3")


def test_one_that_fails_does_not_keep_the_others(study: Folder) -> None:
    for name in ("half0A", "half0B"):
        Path(f"runs/{name}/done.json").unlink()
    Path("runs/half0A/half0A_iter_20.caffemodel").unlink()
    with pytest.raises(CaffeError, match=r"^runs/half0A: its weights are missing"):
        run_job("train", ["half0A", "half0B"])
    assert Path("runs/half0B/done.json").exists() and not Path("runs/half0A/done.json").exists()


def unfinished(study: Folder) -> None:
    """Let half0B be as if it had been killed after its snapshot at 16."""
    for path in study.runs.glob("half0B/*_iter_20.*"):
        path.unlink()
    Path("runs/half0B/done.json").unlink()
    meta = Path("runs/half0B/run.json")
    meta.write_text(meta.read_text().replace('"status": "finished"', '"status": "running"'))


def test_an_unfinished_net_goes_on(study: Folder) -> None:
    want = Path("runs/half0B/half0B_iter_20.caffemodel").read_bytes()
    unfinished(study)
    assert run_job("train", ["half0B"]) == 0
    assert Path("runs/half0B/half0B_iter_20.caffemodel").read_bytes() == want
    assert study.run("half0B").meta["sessions"][-1]["resumed_from"] == "runs/half0B/half0B_iter_16.solverstate"


def test_a_definition_that_has_changed_under_it(study: Folder) -> None:
    unfinished(study)
    net = Path("nets/half0B.prototxt")
    net.write_text(net.read_text().replace("std: 0.05", "std: 0.04", 1))
    refused(r"^nets/half0B.prototxt: has changed since runs/half0B was begun, at layer 'conv\d'; ", "half0B")


def test_a_transfer_net_remembers_its_base_after_a_resume(study: Folder) -> None:
    for path in study.runs.glob("transfer0A0B_1_3/*_iter_20.*"):
        path.unlink()
    meta = Path("runs/transfer0A0B_1_3/run.json")
    meta.write_text(meta.read_text().replace('"status": "finished"', '"status": "interrupted"'))
    assert run_job("train", ["transfer0A0B_1_3"]) == 0
    run, base = study.run("transfer0A0B_1_3"), study.run("half0A")
    assert run.meta["files"]["weights"][0]["sha256"] == base.meta["weights"]["sha256"]


def test_a_full_disk_loses_nothing(study: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from caffe_compat import weights

    def full(*_: object) -> None:
        raise CaffeError("runs/half0B/half0B_iter_20.new.caffemodel: cannot write: No space left on device")

    want = Path("runs/half0B/half0B_iter_20.caffemodel").read_bytes()
    unfinished(study)
    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", full)
        refused("No space left on device", "half0B")
    assert read_status(study, study.read())[1].state == "failed"
    assert "No space left" in read_status(study, study.read())[1].reason
    assert study.run("half0B").iteration == 16
    assert run_job("train", ["half0B"]) == 0
    assert Path("runs/half0B/half0B_iter_20.caffemodel").read_bytes() == want


def test_nothing_is_begun_for_a_driver_that_is_gone(study: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOSINSKI_STUDY_DRIVER", "4194305 1")
    unfinished(study)
    assert run_job("train", ["half0B"]) == 130
    assert study.run("half0B").iteration == 16


def test_status(study: Folder) -> None:
    unfinished(study)
    nets = {net.name: net for net in read_status(study, study.read())}
    assert [nets[name].state for name in nets] == ["trained", "stopped", "trained", "waits"]
    done = nets["half0A"]
    assert (done.iteration, done.iterations, done.batch) == (20, 20, 64)
    assert done.loss is not None and 0.5 < done.loss < 2 and done.top1 is not None and 0.2 < done.top1 < 1
    assert done.seconds_left is None
    assert nets["half0B"].loss is not None
    assert summary(list(nets.values())) == "2 of 4 nets trained"
    lock = study.run("half0B")
    lock.open(resume=True, force=False)
    running = {net.name: net for net in read_status(study, study.read())}["half0B"]
    lock.close()
    assert running.state == "training" and running.images_per_second and running.seconds_left is not None


def test_nets_trained_together_count_together(study: Folder) -> None:
    assert run_job("train", ["transfer-ft0A0B_1_1"]) == 0
    speeds = {net.name: net.images_per_second for net in read_status(study, study.read())}
    assert all(speeds.values())
    pair = speeds["transfer0A0B_1_3"] + speeds["transfer-ft0A0B_1_1"]  # type: ignore[operator]
    found = find_speed(find_preset("tiny").scale, None, study)
    assert found is not None
    assert found.images_per_second == pytest.approx((speeds["half0A"] + speeds["half0B"] + pair) / 3)  # type: ignore[operator]


def test_onnx_verification_and_results(study: Folder) -> None:
    names = ["half0A", "half0B", "transfer0A0B_1_3"]
    facts = study.read()
    facts["nets"] = [net for net in facts["nets"] if net["name"] in names]
    study.study.write_text(json.dumps(facts))
    assert run_job("onnx", names) == run_job("verify", names) == 0
    assert {net.state for net in read_status(study, study.read())} == {"verified"}
    assert run_job("report", []) == 0
    rows = {row["net"]: row for row in read_results(study.results)}
    assert rows["half0A"]["runtimes_agree"] == "True" and float(rows["half0A"]["max_delta"]) < 1e-5
    # The mean of the ten best tests is, of two tests, the mean of both.
    scores = [float(rows["half0A"][key]) for key in ("top1", "last_top1")]
    assert scores[1] == pytest.approx(study.run("half0A").meta["scores"]["accuracy"])
    assert 0 < scores[0] != scores[1]
    assert list(table(list(rows.values())).columns[1].cells) == [f"{float(rows['transfer0A0B_1_3']['top1']):.4f}"]
    assert Path("report/index.html").stat().st_size > 10_000
    Path("report/index.html").unlink()
    Path("report/index.html").mkdir()
    with pytest.raises(CaffeError, match=r"^report: no page: report/index\.html: cannot write: "):
        run_job("report", [])
