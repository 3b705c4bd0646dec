"""The data layer: images a second from a database on disk to the blob, cropped, mirrored, mean subtracted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from caffe_compat import rng
from caffe_compat.data.db import create_db
from caffe_compat.data.mean import write_mean
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, filter_net, read_net
from yosinski.bench import median_seconds
from yosinski.resources import prototxt_dir

SIDE = 256  # pixels, as the study stores its images
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
        rng.set_random_seed(1)
        net = Net(data_layer_only(source, mean), caffe_pb2.TRAIN)

        def deliver() -> None:
            for _ in range(BATCHES):
                net.forward_layers()

        speed = BATCHES * len(net.blobs["label"].tensor) / median_seconds(deliver, rounds, warm_up=2)
    return DataLayerSpeed(records, speed)


def data_layer_only(source: str, mean: str) -> Any:
    """A NetParameter of nothing but the study's data layer for training."""
    state = caffe_pb2.NetState(phase=caffe_pb2.TRAIN)
    definition = filter_net(read_net(prototxt_dir() / "base_A.prototxt"), state)
    del definition.layer[1:]
    definition.layer[0].data_param.source = source
    definition.layer[0].transform_param.mean_file = mean
    return definition


def write_noise(path: str, records: int) -> None:
    """A database of random raw images with labels below 1000."""
    noise = np.random.default_rng(1)
    with create_db(path, "lmdb") as db:
        for i in range(records):
            pixels = noise.integers(0, 256, 3 * SIDE * SIDE, np.uint8).tobytes()
            datum = caffe_pb2.Datum(channels=3, height=SIDE, width=SIDE, data=pixels, label=i % 1000)
            db.put(f"{i:08d}".encode(), datum.SerializeToString())
