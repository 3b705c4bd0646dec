"""`yosinski nets` as users type it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.proto import caffe_pb2, text
from yosinski.net_names import parse_name
from yosinski.original_nets import original

Run = Callable[..., Any]


@pytest.mark.parametrize(
    "name", ["half0A", "transfer-ft0A0B_1_3", "nolearn_1_5", "reduced-0100", "transfernatmanAB_1_6"]
)
@pytest.mark.parametrize("part", ["train", "val", "solver"])
def test_show_upgraded_prints_the_original_and_nothing_else(run: Run, name: str, part: Any) -> None:
    done = run("nets", "show", name, "--part", part, "--upgraded")
    assert (done.code, done.err) == (0, "")
    kind = caffe_pb2.SolverParameter if part == "solver" else caffe_pb2.NetParameter
    assert text.parse(done.out, kind) == original(parse_name(name), part)


def test_show_by_either_name(run: Run) -> None:
    ours = run("nets", "show", "transfer_A3B", "--split", "natman").out
    assert run("nets", "show", "transfernatmanAB_1_3").out == ours
    assert 'source: "data/halfnatmanB_train.index"' in ours


def test_show_one_phase_or_the_solver(run: Run) -> None:
    train = text.parse(run("nets", "show", "base_A", "--part", "train", "--mini").out, caffe_pb2.NetParameter)
    assert [layer.type for layer in train.layer][-1] == "SoftmaxWithLoss"
    assert "Accuracy" not in [layer.type for layer in train.layer]
    assert "max_iter: 200000" in run("nets", "show", "reduced_10", "--part", "solver").out


def test_list(run: Run) -> None:
    assert len(run("nets", "list").out.splitlines()) == 78
    lines = run("nets", "list", "--originals").out.splitlines()
    assert len(lines) == 170 and lines[0].startswith("half0A  split 0, base_A: trained on half A")
    assert "transfer3A3B_1_2  split 3, transfer_A2B" in run("nets", "list", "--split", "3").out


def test_write_by_split(run: Run, tmp_path: Path) -> None:
    done = run("nets", "write", tmp_path, "base_A", "reduced_5", "--split", "1")
    assert sorted(done.out.split()) == sorted(str(path) for path in tmp_path.rglob("*.prototxt"))
    names = ["half1A.prototxt", "reduced/reduced_5.prototxt", "reduced/solver.prototxt", "solver.prototxt"]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.prototxt")) == names


def test_write_nothing_for_an_unknown_name(run: Run, tmp_path: Path) -> None:
    done = run("nets", "write", tmp_path / "out", "base_A", "base_Z")
    assert done.code == 1 and "'base_Z' is no net of the study" in done.err
    assert not (tmp_path / "out").exists()


def test_write_a_study(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my_study.json").write_text('{"net": "mini", "nets": ["transfer"], "targets": ["A"], "cuts": [4]}')
    done = run("nets", "write", tmp_path / "out", "--study", tmp_path / "my_study.json")
    assert [Path(line).stem for line in done.out.split()] == ["half0B", "solver", "transfer0B0A_1_4"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "base_A", "--upgraded"),
        ("show", "base_A", "--deploy", "--part", "val"),
        ("show", "base_A", "--split", "half"),
        ("write", "out", "base_A", "--study", "x.json"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("nets", *arguments).code == 2
