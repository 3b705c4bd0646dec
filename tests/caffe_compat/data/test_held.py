"""Images held in memory: the batches of the database that they come from, and a line for what cannot be held."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from caffe_compat import rng as caffe_rng
from caffe_compat.data import held
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db, open_db
from caffe_compat.data.held_reader import DeviceReader, HeldReader
from caffe_compat.data.mean import write_mean
from caffe_compat.data.picture import AS_STORED
from caffe_compat.data.reader import ImageReader, Reader
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.layers.data import Data
from caffe_compat.proto import caffe_pb2, text
from tests.caffe_compat.data.conftest import MakeDb

CPU = torch.device("cpu")
SHAPE = (3, 9, 11)


@pytest.fixture
def source(tmp_path: Path, rng: np.random.Generator, make_db: MakeDb) -> Path:
    write_mean(tmp_path / "mean", rng.random(SHAPE, np.float32) * 255)
    return make_db(rng.integers(0, 256, (41, *SHAPE), np.uint8))


def transformer(source: Path, phase: int = caffe_pb2.TRAIN) -> Transformer:
    mean = str(source.with_name("mean"))
    caffe_rng.set_random_seed(5)
    made = Transformer(caffe_pb2.TransformationParameter(crop_size=7, mirror=True, mean_file=mean, scale=0.1), phase)
    made.init_rng(6)
    return made


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
@pytest.mark.parametrize("kind", ["host", "host for a device", "device"])
def test_batches_are_those_of_the_database(source: Path, phase: int, kind: str) -> None:
    plain = Reader(open_db(source), transformer(source, phase), 6)
    with open_db(source) as db:
        images = held.hold(db, AS_STORED, CPU)
        assert held.hold(db, AS_STORED, CPU) is images
    make = DeviceReader if kind == "device" else HeldReader
    reader: ImageReader = make(images, transformer(source, phase), 6)
    if kind == "host for a device":
        reader.device = torch.device("cuda")
    assert reader.first_shape() == plain.first_shape()
    for number in range(20):
        want, got = plain.read(), reader.read()
        data = got.on(CPU)
        assert data.shape == got.data.shape
        if got.places is not None:
            assert data.dtype == torch.uint8
            data = reader.transformer.finish(data, got.places)
        assert torch.equal(data, want.data) and torch.equal(got.label, want.label)
        assert got.state["records"] == want.state["records"] == 6 * (number + 1)
        if number == 12:
            state = got.state
    reader.close()
    again = make(images, transformer(source, phase), 6)
    again.load_state(state)
    batch = again.read()
    assert batch.label.tolist() == [(6 * 13 + i) % 41 for i in range(6)]
    again.close()
    plain.close()


def layer(source: Path) -> Data:
    prototxt = f'name: "data" type: "Data" top: "data" top: "label" data_param {{ source: "{source}" batch_size: 4 }}'
    made = Data(text.parse(prototxt, caffe_pb2.LayerParameter), caffe_pb2.TRAIN)
    made.setup([])
    return made


def test_layer(source: Path) -> None:
    with held.use(CPU):
        made = layer(source)
    assert isinstance(made.reader, HeldReader)
    plain = layer(source)
    assert isinstance(plain.reader, Reader)
    for _ in range(15):
        for one, two in zip(made.forward(), plain.forward()):
            assert torch.equal(one, two)
    state = made.data_state()
    want = made.forward()[1].tolist()
    made.load_data_state(state)
    assert made.forward()[1].tolist() == want
    made.close()
    plain.close()


def test_encoded_images(tmp_path: Path, rng: np.random.Generator) -> None:
    pictures = rng.integers(0, 256, (5, 8, 6, 3), np.uint8)
    with create_db(tmp_path / "db", "lmdb") as db:
        for i, picture in enumerate(pictures):
            content = cv2.imencode(".png", picture)[1].tobytes()
            db.put(b"%d" % i, serialize(caffe_pb2.Datum(data=content, encoded=True, label=i * i)))
    with open_db(tmp_path / "db") as opened:
        images = held.hold(opened, AS_STORED, CPU)
    assert np.array_equal(images.pixels.numpy(), pictures.transpose(0, 3, 1, 2))
    assert images.labels.tolist() == [0, 1, 4, 9, 16]


def test_what_cannot_be_held(make_db: MakeDb, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(images: list[np.ndarray], name: str, match: str) -> None:
        with open_db(make_db(images, name=name)) as db, pytest.raises(CaffeError, match=match):
            held.hold(db, AS_STORED, CPU)

    bytes_, other = np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 3), np.uint8)
    fails([], "none", "none: the database has no records")
    fails(
        [bytes_, other],
        "shapes",
        r"record '00000001': its image is uint8 \[1, 2, 3\]; .* uint8 \[1, 2, 2\], as the first",
    )
    fails([bytes_.astype(np.float32)], "floats", r"record '00000000': its image is float32 .* has to be uint8")
    monkeypatch.setattr(held, "_free", lambda place: 5_000_000)
    fails(
        [np.zeros((3, 1000, 1000), np.uint8)] * 2,
        "large",
        r"large: 2 images of 3 x 1000 x 1000 take 0.01 GB to hold; host has 0.01 GB free",
    )


def test_free_memory() -> None:
    assert 1e8 < held._free(CPU) < 1e14


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(source: Path) -> None:
    plain = layer(source)
    with held.use(torch.device("cuda")):
        made = layer(source)
    made.to("cuda")
    assert isinstance(made.reader, DeviceReader)
    for _ in range(15):
        for one, two in zip(made.forward(), plain.forward()):
            assert one.is_cuda and torch.equal(one.cpu(), two)
    made.close()
    plain.close()
