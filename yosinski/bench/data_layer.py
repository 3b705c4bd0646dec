"""The data layer: images a second from a database on disk to the blob, cropped, mirrored, mean subtracted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from caffe_compat import rng
from caffe_compat.data.db import create_db
from caffe_compat.data.mean import write_mean
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto.text import parse
from yosinski.bench import median_seconds
from yosinski.caffenet import data_layer, text_of

SIDE, CROP, BATCH = 256, 227, 256  # the study's
BATCHES = 4  # batches a round


@dataclass(frozen=True)
class DataLayerSpeed:
    """Median over the rounds, in images a second; the database is small enough to stay in the page cache."""

    records: int
    images_per_s: float

    def figures(self) -> dict[str, float]:
        return asdict(self)


def measure(records: int = 512, rounds: int = 9) -> DataLayerSpeed:
    """Time the delivery of batches of 256 crops of 227x227 from raw 256x256 colour images."""
    with TemporaryDirectory() as folder:
        source, mean = str(Path(folder, "lmdb")), str(Path(folder, "mean.binaryproto"))
        write_noise(source, records)
        write_mean(mean, np.full((3, SIDE, SIDE), 127.5, np.float32))
        text = text_of("data", data_layer("TRAIN", BATCH, CROP, mirror=True, source=source, mean=mean))
        rng.set_random_seed(1)
        net = Net(parse(text, caffe_pb2.NetParameter), caffe_pb2.TRAIN)

        def deliver() -> None:
            for _ in range(BATCHES):
                net.forward_layers()

        speed = BATCH * BATCHES / median_seconds(deliver, rounds, warm_up=2)
    return DataLayerSpeed(records, speed)


def write_noise(path: str, records: int) -> None:
    """A database of random raw images with labels below 1000."""
    noise = np.random.default_rng(1)
    with create_db(path, "lmdb") as db:
        for i in range(records):
            pixels = noise.integers(0, 256, 3 * SIDE * SIDE, np.uint8).tobytes()
            datum = caffe_pb2.Datum(channels=3, height=SIDE, width=SIDE, data=pixels, label=i % 1000)
            db.put(f"{i:08d}".encode(), datum.SerializeToString())
