"""The C++ checker, in a plain and in a sanitized build made once; and small models and databases for it.

Records are encoded here by hand, so that nothing of `caffe_compat` stands between a test and the program.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from yosinski.onnx_check_build import OnnxCheckUnavailable, find_or_build

Sides = Sequence["int | str"]  # text stands for any size


@dataclass(frozen=True)
class Checker:
    """Runs the program as a user would."""

    program: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, timeout=300)

    def report(self, *arguments: object) -> dict[str, Any]:
        """The JSON of a run that must succeed, in silence."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def error(self, *arguments: object, code: int = 1) -> str:
        """The one line of a run that must fail."""
        done = self.run(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert done.stderr.startswith("onnx_check: ") and done.stderr.count("\n") == 1, done.stderr
        return done.stderr.removeprefix("onnx_check: ").rstrip("\n")

    def dump(self, *arguments: object) -> np.ndarray:
        """The one output that a successful run dumps."""
        (entry,) = self.report(*arguments)["dumps"].values()
        return read_dump(entry)

    def outputs(self, model: Path, db: Path, *arguments: object) -> np.ndarray:
        """What the net makes of every image of a database."""
        return self.dump("--model", model, "--db", db, "--dump", model.with_suffix(".f32"), *arguments)


@pytest.fixture(scope="session", params=["plain", "sanitized"])
def checker(request: pytest.FixtureRequest) -> Checker:
    try:
        return Checker(find_or_build(sanitize=request.param == "sanitized"))
    except OnnxCheckUnavailable as error:
        pytest.skip(str(error))


def read_dump(entry: Mapping[str, Any]) -> np.ndarray:
    """A dumped output, from its entry in the report."""
    return np.fromfile(entry["file"], dtype="<f4").reshape(entry["shape"])


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    head = b""
    while number >= 0x80:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


def tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def block(field: int, content: bytes) -> bytes:
    return tag(field, 2) + varint(len(content)) + content


@dataclass(frozen=True)
class Maker:
    """Makes models, records, databases and mean files under `folder`."""

    folder: Path

    def datum(
        self, pixels: np.ndarray | bytes, label: int = 0, shape: Sequence[int] | None = None, packed: bool = False
    ) -> bytes:
        """A Datum: uint8 or float32 pixels of shape CxHxW, or an encoded image. `shape` lies about the sides."""
        if isinstance(pixels, bytes):
            body = block(4, pixels) + tag(7, 0) + b"\1"
        else:
            body = b"".join(tag(i + 1, 0) + varint(side) for i, side in enumerate(shape or pixels.shape))
            if pixels.dtype == np.uint8:
                body += block(4, pixels.tobytes())
            elif packed:
                body += block(6, pixels.astype("<f4").tobytes())
            else:
                body += b"".join(tag(6, 5) + value.tobytes() for value in pixels.astype("<f4").reshape(-1))
        return body + tag(5, 0) + varint(label)

    def db(self, records: Iterable[bytes]) -> Path:
        """An LMDB with keys like Caffe's."""
        path = self.folder / "db"
        with lmdb.open(str(path), map_size=1 << 28) as environment, environment.begin(write=True) as transaction:
            for i, record in enumerate(records):
                transaction.put(f"{i:08d}_image".encode(), record)
        return path

    def scores_db(self, scores: np.ndarray, labels: Sequence[int]) -> Path:
        """Rows of scores as images of shape Cx1x1, for a net that hands them through."""
        return self.db(
            self.datum(row.reshape(-1, 1, 1).astype(np.float32), int(label), packed=True)
            for row, label in zip(scores, labels, strict=True)
        )

    def mean(self, mean: np.ndarray, modern: bool = False, doubles: bool = False) -> Path:
        """A mean file: a BlobProto with the legacy sides, or with a shape."""
        sides = (1, *mean.shape)
        if modern:
            head = block(7, block(1, b"".join(map(varint, sides))))
        else:
            head = b"".join(tag(i + 1, 0) + varint(side) for i, side in enumerate(sides))
        values = mean.astype("<f8" if doubles else "<f4").tobytes()
        path = self.folder / "mean.binaryproto"
        path.write_bytes(head + block(8 if doubles else 5, values))
        return path

    def model(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: Mapping[str, Sides],
        outputs: Mapping[str, Sides],
        weights: Mapping[str, np.ndarray] | None = None,
        metadata: Mapping[str, str] | None = None,
        types: Mapping[str, int] | None = None,
    ) -> Path:
        """A model file of the given nodes; inputs and outputs are float32 where `types` says nothing else."""

        def infos(specs: Mapping[str, Sides]) -> list[onnx.ValueInfoProto]:
            kinds = types or {}
            return [
                helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
                for name, shape in specs.items()
            ]

        tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
        graph = helper.make_graph(nodes, "net", infos(inputs), infos(outputs), tensors)
        model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
        helper.set_model_props(model, dict(metadata or {}))
        path = self.folder / "net.onnx"
        onnx.save(model, path)
        return path

    def identity(self, *sides: int | str, batch: int | str = "N", **more: Any) -> Path:
        """A net that hands through what it gets: its outputs are the transformed images, or the scores of a test."""
        shape = [batch, *(sides or ("C", "H", "W"))]
        return self.model([helper.make_node("Identity", ["data"], ["prob"])], {"data": shape}, {"prob": shape}, **more)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path)
