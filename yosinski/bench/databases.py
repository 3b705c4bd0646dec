"""Databases of images to measure with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from caffe_compat.data.db import create_db
from caffe_compat.data.mean import write_mean
from caffe_compat.proto import caffe_pb2
from yosinski.bench.nets import MINI, Images, Size
from yosinski.demo_data import write_demo_data

SIDE = 256  # pixels, as the study stores its images
RECORDS = 512


def copied(images: Images) -> Images:
    """The same images in another file, since lmdb opens a database only once in a process."""
    copy = images.db.with_name(f"{images.db.name}_{sum(1 for _ in images.db.parent.iterdir())}")
    shutil.copytree(images.db, copy)
    return Images(copy, images.mean)


def write(size: Size, folder: Path) -> Images:
    """The demo's half A for the small net; noise, 256x256 in colour, for the full one."""
    if size is MINI:
        write_demo_data(folder)
        return Images(folder / "A_train_lmdb", folder / "A_mean.binaryproto")
    write_noise(folder / "lmdb", RECORDS)
    write_mean(folder / "mean.binaryproto", np.full((size.net.channels, SIDE, SIDE), 127.5, np.float32))
    return Images(folder / "lmdb", folder / "mean.binaryproto")


def write_noise(path: Path, records: int) -> None:
    """A database of random raw images with labels below 1000."""
    noise = np.random.default_rng(1)
    with create_db(path, "lmdb") as db:
        for i in range(records):
            pixels = noise.integers(0, 256, 3 * SIDE * SIDE, np.uint8).tobytes()
            datum = caffe_pb2.Datum(channels=3, height=SIDE, width=SIDE, data=pixels, label=i % 1000)
            db.put(f"{i:08d}".encode(), datum.SerializeToString())
