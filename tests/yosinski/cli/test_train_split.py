"""`yosinski train --split`: one definition, the halves of any split."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from caffe_compat.data.datum import parse
from caffe_compat.data.index_db import write_index
from caffe_compat.data.lmdb_db import Lmdb
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, read_net
from yosinski.definition import inputs
from yosinski.run_dir import RunDir


@pytest.fixture
def split_1(demo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose data/mini has halves of split 1 only, as indices."""
    demo, data = demo_data / "data" / "mini", tmp_path / "data" / "mini"
    data.mkdir(parents=True)
    for half in "AB":
        for part in ("train", "valid"):
            lmdb = demo / f"{half}_{part}_lmdb"
            with Lmdb(str(lmdb)) as db:
                lines = [(bytes(key), parse(record).label) for key, record in db.records()]
            write_index(data / f"half1{half}_{part}.index", lmdb, lines)
        shutil.copy(demo / f"{half}_mean.binaryproto", data / f"half1{half}_mean.binaryproto")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_base_and_transfer_net_of_a_split(run, split_1: Path) -> None:
    done = run("train", "mini/transfer_A3B", "--split", 1, "--device", "cpu")
    assert done.code == 1
    assert "base_A.prototxt --split 1 --out runs/mini/half1A" in done.err
    for name in ("base_A", "transfer_A3B"):
        done = run("train", f"mini/{name}", "--split", 1, "--max-iter", 2, "--device", "cpu")
        assert done.code == 0, done.err
    transfer = RunDir(Path("runs/mini/transfer1A1B_1_3"))
    assert {need.path.name for need in inputs(read_net(transfer.net))} == {
        "half1B_train.index",
        "half1B_valid.index",
        "half1A_mean.binaryproto",
    }
    conv1 = []
    for directory in (RunDir(Path("runs/mini/half1A")), transfer):
        net = Net(directory.net, caffe_pb2.TEST, weights=directory.newest_weights())
        conv1.append(net.params["conv1"][0].data)
    assert (conv1[0] == conv1[1]).all()


def test_a_split_of_nets_on_all_classes(run, split_1: Path) -> None:
    done = run("train", "whole", "--split", 1)
    assert done.code == 1
    assert done.err.splitlines()[-1].endswith("--split 1: no layer reads data of an unnamed half A or B")
