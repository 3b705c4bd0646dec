"""Mean images, bit for bit those of compute_image_mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.data.mean import channel_means, compute_image_mean, mean_value_lines, read_mean
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2


@pytest.mark.parametrize("name", ["lmdb_32", "lmdb_24x30", "lmdb_gray", "leveldb_32"])
def test_golden(golden: Path, tmp_path: Path, name: str) -> None:
    want = golden / "data" / f"mean_{name.replace('gray', 'gray32').split('_')[1]}.binaryproto"
    counts: list[tuple[int, int]] = []
    mean = compute_image_mean(golden / "data" / name, tmp_path / "mean", lambda *count: counts.append(count))
    assert (tmp_path / "mean").read_bytes() == want.read_bytes()
    np.testing.assert_array_equal(mean, read_mean(want))
    assert counts == [(i + 1, 24) for i in range(24)]


def test_golden_channel_means(golden: Path) -> None:
    printed = json.loads((golden / "data" / "databases.json").read_text())["compute_image_mean_stdout_lmdb_32"]
    assert mean_value_lines(read_mean(golden / "data" / "mean_32.binaryproto")) == printed


def test_encoded_images_are_decoded(golden: Path) -> None:
    mean = compute_image_mean(golden / "data" / "lmdb_encoded_png")
    assert mean.shape == (3, 20, 20)
    assert abs(float(mean.mean()) - float(channel_means(read_mean(golden / "data" / "mean_32.binaryproto")).mean())) < 1


def test_sum_is_single_precision_in_order(make_db, rng: np.random.Generator) -> None:
    images = [rng.random((1, 2, 2), np.float32) * np.float32(10) ** np.float32(i % 9 - 3) for i in range(50)]
    total = np.zeros((1, 2, 2), np.float32)
    for image in images:
        total = total + image
    np.testing.assert_array_equal(compute_image_mean(make_db(images)), total / np.float32(50))


def test_images_of_two_sizes(make_db, tmp_path: Path) -> None:
    images = [np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 3), np.uint8)]
    with pytest.raises(
        CaffeError, match=r"db: record '00000001': its shape is \[1, 2, 3\], that of the first \[1, 2, 2\]"
    ):
        compute_image_mean(make_db(images), tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_empty_database(make_db) -> None:
    with pytest.raises(CaffeError, match="has no records"):
        compute_image_mean(make_db([]))


@pytest.mark.parametrize(
    ("blob", "shape"),
    [
        (caffe_pb2.BlobProto(num=1, channels=1, height=2, width=3, data=range(6)), (1, 2, 3)),
        (caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=[1, 1, 2, 3]), data=range(6)), (1, 2, 3)),
        (caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=[1, 2, 3]), double_data=range(6)), (1, 2, 3)),
        (  # Caffe goes by the dimensions of old, and by the doubles
            caffe_pb2.BlobProto(
                num=1, channels=1, height=2, width=3, shape={"dim": [6]}, double_data=range(6), data=[9]
            ),
            (1, 2, 3),
        ),
        (caffe_pb2.BlobProto(num=2, channels=1, height=1, width=3, data=range(6)), None),
        (caffe_pb2.BlobProto(num=1, channels=1, height=2, width=2, data=range(6)), None),
        (caffe_pb2.BlobProto(num=1), None),
    ],
)
def test_read(tmp_path: Path, blob: caffe_pb2.BlobProto, shape: tuple[int, ...] | None) -> None:
    (tmp_path / "mean").write_bytes(blob.SerializeToString())
    if shape is None:
        with pytest.raises(CaffeError, match="mean: not a mean image"):
            read_mean(tmp_path / "mean")
    else:
        np.testing.assert_array_equal(read_mean(tmp_path / "mean"), np.arange(6, dtype=np.float32).reshape(shape))
