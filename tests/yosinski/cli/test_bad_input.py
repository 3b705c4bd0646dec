"""What a user can get wrong: each mistake ends in one clear line, exit code 1, and nothing half-written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from caffe_compat.data.db import create_db
from caffe_compat.proto import binary, caffe_pb2
from yosinski.resources import prototxt_dir

Scene = Callable[
    [Path], list[str]
]  # spoils something in the working directory; the arguments after "train net.prototxt"
SCENES: dict[str, tuple[Scene, str]] = {}


def scene(message: str) -> Callable[[Scene], Scene]:
    """The scene's mistake is answered by a line that matches ``message``."""

    def add(spoil: Scene) -> Scene:
        SCENES[spoil.__name__] = (spoil, message)
        return spoil

    return add


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new, 1))


def database(records: list[caffe_pb2.Datum]) -> None:
    """Put another training database in the place of the demo's."""
    path = Path("data/mini/A_train_lmdb")
    shutil.rmtree(path)
    with create_db(path, "lmdb") as db:
        for i, datum in enumerate(records):
            db.put(f"{i:08d}".encode(), datum.SerializeToString())


def image(label: int = 0, size: int = 28) -> caffe_pb2.Datum:
    return caffe_pb2.Datum(channels=1, height=size, width=size, data=bytes(size * size), label=label)


@scene(r"net\.prototxt:\d+:\d+: .*nmae.*name")
def unknown_field(folder: Path) -> list[str]:
    edit("net.prototxt", 'name: "conv1"', 'nmae: "conv1"')
    return []


@scene(r"layer 'conv1': unknown layer type 'Convolutoin'; did you mean Convolution")
def unknown_layer(folder: Path) -> list[str]:
    edit("net.prototxt", 'type: "Convolution"', 'type: "Convolutoin"')
    return []


@scene(r"conv2.*shape")
def wrong_shape_in_weights(folder: Path) -> list[str]:
    net = caffe_pb2.NetParameter()
    layer = net.layer.add(name="conv2", type="Convolution")
    for dims in ((32, 8, 3, 3), (32,)):
        blob = layer.blobs.add()
        blob.shape.dim.extend(dims)
        blob.data.extend([0.0] * (32 * 8 * 9 if len(dims) > 1 else 32))
    binary.write("w.caffemodel", net)
    return ["--weights", "w.caffemodel"]


@scene(r"--weights nowhere\.caffemodel: no such file")
def missing_weights(folder: Path) -> list[str]:
    return ["--weights", "nowhere.caffemodel"]


@scene(r"w\.caffemodel: ")
def corrupt_weights(folder: Path) -> list[str]:
    Path("w.caffemodel").write_bytes(b"\x0a\xff\xff\xff\xff\x01garbage")
    return ["--weights", "w.caffemodel"]


@scene(r"s\.solverstate: ")
def corrupt_state(folder: Path) -> list[str]:
    Path("s.solverstate").write_bytes(b"\x08\x05\x12")
    return ["--snapshot", "s.solverstate"]


@scene(r"data/mini/A_mean\.binaryproto, not there; make the demo's data: yosinski data demo data/mini")
def missing_mean(folder: Path) -> list[str]:
    Path("data/mini/A_mean.binaryproto").unlink()
    return []


@scene(r"data/mini/A_mean\.binaryproto.*: ")
def corrupt_mean(folder: Path) -> list[str]:
    Path("data/mini/A_mean.binaryproto").write_bytes(b"not a mean")
    return []


@scene(r"data/mini/A_train_lmdb.* not there; make the demo's data: yosinski data demo data/mini")
def missing_database(folder: Path) -> list[str]:
    shutil.rmtree("data/mini/A_train_lmdb")
    return []


@scene(r"data/mini/A_train_lmdb: .*truncated")
def truncated_database(folder: Path) -> list[str]:
    path = Path("data/mini/A_train_lmdb/data.mdb")
    path.write_bytes(path.read_bytes()[:-8192])
    return []


@scene(r"data/mini/A_train_lmdb: .*(empty|no records)")
def empty_database(folder: Path) -> list[str]:
    database([])
    return []


@scene(r"data/mini/A_train_lmdb.*00000003.*")
def datum_of_another_size(folder: Path) -> list[str]:
    database([image()] * 3 + [image(size=29)])
    return []


@scene(r"data/mini/A_train_lmdb.*00000001.*")
def corrupt_jpeg(folder: Path) -> list[str]:
    database([image(), caffe_pb2.Datum(data=b"\xff\xd8\xff\xe0 no picture", encoded=True)])
    return []


@scene(r"label.*17|17.*label")
def label_out_of_range(folder: Path) -> list[str]:
    database([image(label=17)] * 64)
    return []


@scene(r"net\.prototxt: SolverParameter must specify a train net")
def solver_without_net(folder: Path) -> list[str]:
    Path("net.prototxt").write_text('base_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 1\n')
    return []


@scene(r"net\.prototxt: no solver\.prototxt beside this net; --solver names another")
def no_solver(folder: Path) -> list[str]:
    Path("solver.prototxt").unlink()
    return []


@scene(r"net\.prototxt: .*No such file")
def no_prototxt(folder: Path) -> list[str]:
    Path("net.prototxt").unlink()
    return []


@scene(r"net\.prototxt:1:1: ")
def prototxt_that_is_a_binary_file(folder: Path) -> list[str]:
    Path("net.prototxt").write_bytes(bytes(range(256)))
    return []


@scene(r"--device cuda:99: this machine has \d+ CUDA device")
def device_that_is_not_there(folder: Path) -> list[str]:
    return ["--device", "cuda:99"]


@scene(r"out/.*: (Not a directory|File exists)")
def run_directory_below_a_file(folder: Path) -> list[str]:
    Path("out").write_text("")
    return ["--out", "out/run"]


@pytest.mark.parametrize("name", SCENES)
def test_one_line_and_nothing_half_written(
    name: str, run, demo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(demo_data / "data", "data")
    shutil.copy(prototxt_dir() / "mini" / "base_A.prototxt", "net.prototxt")
    shutil.copy(prototxt_dir() / "mini" / "solver.prototxt", "solver.prototxt")
    spoil, message = SCENES[name]
    arguments = spoil(tmp_path)
    done = run("train", "net.prototxt", "--max-iter", 2, "--out", "out/run", *arguments)
    words = [line for line in done.err.splitlines() if line.startswith("yosinski: ")]
    assert done.code == 1, done.err
    assert len(words) == 1 and done.err.splitlines()[-1] == words[0]
    assert re.search(message, words[0]), words[0]
    assert len(words[0]) < 400
    assert not [path for path in tmp_path.rglob("*") if "tmp" in path.name or "_iter_" in path.name]
