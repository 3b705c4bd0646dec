"""Small raw images taken together come out as one by one, to the bit; other records are left to the usual way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat import rng as random
from caffe_compat.data import reader
from caffe_compat.data.datum import Relabelled, parse, serialize, serialize_raw
from caffe_compat.data.db import create_db, open_db
from caffe_compat.data.mean import write_mean
from caffe_compat.data.reader import Reader
from caffe_compat.data.small_images import parse_alike
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2

TRAIN = caffe_pb2.TRAIN


def images(count: int, shape: tuple[int, int, int] = (2, 7, 6)) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), np.uint8)


def test_pixels_and_labels_of_records_alike() -> None:
    pixels, labels = images(5), [0, 127, 128, 70000, -1]
    records = [bytes(serialize_raw(image, label)) for image, label in zip(pixels, labels)]
    found = parse_alike(records)
    assert found is not None
    assert np.array_equal(found[0], pixels)
    assert found[1] == labels
    again = parse_alike([Relabelled(memoryview(record), 9 - i) for i, record in enumerate(records)])
    assert again is not None
    assert np.array_equal(again[0], pixels)
    assert again[1] == [9, 8, 7, 6, 5]


def other_records() -> list[bytes]:
    floats = caffe_pb2.Datum(channels=2, height=7, width=6, float_data=[0.5] * 84)
    encoded = caffe_pb2.Datum(channels=10**5, height=10**5, width=10, data=b"\xff\xd8", encoded=True)
    return [
        bytes(serialize_raw(images(1, (1, 7, 12))[0], 1)),  # as many values in another shape
        bytes(serialize_raw(images(1)[0], 1))[:-6],
        b"\x28\x03" + bytes(serialize_raw(images(1)[0], 1)),  # its label first
        serialize(floats),
        serialize(encoded),
        b"",
        b"nonsense",
    ]


@pytest.mark.parametrize("other", other_records())
def test_records_that_differ_are_not_taken_together(other: bytes) -> None:
    plain = bytes(serialize_raw(images(1)[0], 3))
    assert parse_alike([plain, other]) is None
    assert parse_alike([other, plain]) is None


@pytest.mark.parametrize(
    ("crop", "mirror", "mean", "scale"),
    [(0, False, "", 1), (0, True, "file", 1), (5, True, "file", 0.00390625), (3, True, "values", 1), (6, False, "", 3)],
)
@pytest.mark.parametrize("phase", [TRAIN, caffe_pb2.TEST])
def test_a_batch_is_what_it_is_image_by_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crop: int, mirror: bool, mean: str, scale: float, phase: int
) -> None:
    with create_db(tmp_path / "db", "lmdb") as db:
        for i, image in enumerate(images(11)):
            db.put(f"{i:08d}".encode(), serialize_raw(image, 100 * i))
    write_mean(tmp_path / "mean", np.random.default_rng(2).random((2, 7, 6), np.float32) * 255)
    param = caffe_pb2.TransformationParameter(crop_size=crop, mirror=mirror, scale=scale)
    if mean == "file":
        param.mean_file = str(tmp_path / "mean")
    elif mean == "values":
        param.mean_value.extend([104.5, 117.25])
    batches = []
    for small in (1 << 19, 0):
        monkeypatch.setattr(reader, "SMALL", small)
        random.set_random_seed(3)
        transformer = Transformer(param, phase)
        transformer.init_rng()
        each = Reader(open_db(str(tmp_path / "db")), transformer, 4)
        batches.append([each.read() for _ in range(5)])
        each.wait()
        each.close()
    for together, alone in zip(*batches):
        assert np.array_equal(together.data.numpy(), alone.data.numpy())
        assert together.label.tolist() == alone.label.tolist()
        assert np.array_equal(together.state["records"], alone.state["records"])


def test_the_error_of_a_bad_record_is_the_usual_one(tmp_path: Path) -> None:
    records = [bytes(serialize_raw(image, i)) for i, image in enumerate(images(4))]
    records[2] = records[2][:-9]
    with create_db(tmp_path / "db", "lmdb") as db:
        for i, record in enumerate(records):
            db.put(f"{i:08d}".encode(), record)
    each = Reader(open_db(str(tmp_path / "db")), Transformer(caffe_pb2.TransformationParameter(), TRAIN), 4)
    with pytest.raises(CaffeError, match="00000002"):
        each.read()
    each.close()
    assert parse(records[1]).label == 1
