"""Where records come from: encoded ones against the decoder alone, those of an index against an LMDB of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from caffe_compat import rng
from caffe_compat.cores import cores
from caffe_compat.data.datum import parse, serialize
from caffe_compat.data.db import create_db, open_db
from caffe_compat.data.index_db import materialise, write_index
from caffe_compat.data.mean import write_mean
from caffe_compat.data.reader import Reader
from caffe_compat.data.transform import Transformer
from caffe_compat.host_memory import reuse_blobs
from caffe_compat.proto import caffe_pb2
from yosinski.bench.comparison import Comparison, Progress, Ratio, interleave
from yosinski.bench.databases import SIDE, write_noise
from yosinski.bench.pictures import jpeg

CROP = 227
DECODER_GOAL, INDEX_GOAL = 0.85, 0.9


def encoded(rounds: int, images: int = 1024, batch: int = 256, progress: Progress | None = None) -> Comparison:
    """Batches from JPEGs against their decoding alone, in as many threads and in the same process.

    Decoding alone is timed with OpenCV, as Caffe decodes, and with what is used here. Batches for a GPU are decoded and
    cut; those for the CPU also turned to float32, less the mean image, which takes a fifth of the time of decoding.
    """
    import cv2
    import simplejpeg

    reuse_blobs()  # as every solver does
    with TemporaryDirectory(prefix="yosinski-bench-") as name:
        folder = Path(name)
        write_jpegs(folder / "lmdb", images)
        threads = cores()
        with open_db(folder / "lmdb") as db, ThreadPoolExecutor(threads) as pool:
            files = [np.frombuffer(parse(record).data, np.uint8) for _, record in db.records()]

            def all_by(decode: Callable[[NDArray], object]) -> Callable[[], object]:
                def part(first: int) -> None:
                    for file in files[first::threads]:
                        decode(file)

                return lambda: list(pool.map(part, range(threads)))

            readers = {f"ours, for a {device}": open_reader(folder / "lmdb", batch) for device in ("CPU", "GPU")}
            readers["ours, for a GPU"].device = torch.device("cuda")  # no need of one: batches stay where they are read
            opencv, own = f"cv2.imdecode, {threads} threads", f"libjpeg-turbo, {threads} threads"
            runs: dict[str, Callable[[], object]] = {
                opencv: all_by(lambda file: cv2.imdecode(file, cv2.IMREAD_UNCHANGED)),
                own: all_by(lambda file: simplejpeg.decode_jpeg(file, "BGR")),
            }
            runs |= {name: delivery(reader, images) for name, reader in readers.items()}
            samples = interleave("encoded images", runs, rounds, warm_up=3, progress=progress)
            for reader in readers.values():
                reader.close()
    title = f"LMDB of {SIDE}x{SIDE} JPEGs, crop {CROP}, mirror, mean image: {images} images"
    ratios = [Ratio(opencv, name, goal=DECODER_GOAL, title=f"cv2.imdecode alone / {name}") for name in readers]
    ratios += [Ratio(own, name, title=f"libjpeg-turbo alone / {name}") for name in readers]
    return Comparison("data/encoded", title, samples, work=images, ratios=tuple(ratios))


def index(rounds: int, images: int = 1024, batch: int = 256, progress: Progress | None = None) -> Comparison:
    """Batches from an index over half of an LMDB, in random order, against those from an LMDB of just these records."""
    with TemporaryDirectory(prefix="yosinski-bench-") as name:
        folder = Path(name)
        write_noise(folder / "whole", 2 * images)
        keys = [b"%08d" % number for number in np.random.default_rng(1).permutation(2 * images)[:images]]
        write_index(folder / "index", folder / "whole", [(key, 0) for key in keys])
        materialise(folder / "index", folder / "lmdb")
        readers = {"LMDB": open_reader(folder / "lmdb", batch), "index": open_reader(folder / "index", batch)}
        runs = {name: delivery(reader, images) for name, reader in readers.items()}
        samples = interleave("index", runs, rounds, progress=progress)
        for reader in readers.values():
            reader.close()
    title = f"raw {SIDE}x{SIDE} images by an index, or in an LMDB of their own: {images} images"
    return Comparison("data/index", title, samples, work=images, ratios=(Ratio("LMDB", "index", goal=INDEX_GOAL),))


def open_reader(source: Path, batch: int) -> Reader:
    """Reads random crops, mirrored, less a mean image, which is written beside ``source``."""
    mean = str(source.with_name("mean.binaryproto"))
    write_mean(mean, np.full((3, SIDE, SIDE), 127.5, np.float32))
    rng.set_random_seed(1)
    param = caffe_pb2.TransformationParameter(crop_size=CROP, mirror=True, mean_file=mean)
    transformer = Transformer(param, caffe_pb2.TRAIN)
    transformer.init_rng(batch)
    return Reader(open_db(source), transformer, batch)


def delivery(reader: Reader, images: int) -> Callable[[], None]:
    """A run that reads so many images; as much is read ahead when it ends as when it began."""

    def run() -> None:
        for _ in range(images // reader.batch_size):
            reader.read()
        reader.wait()

    return run


def write_jpegs(path: Path, images: int) -> None:
    """A database of encoded pictures with labels below 1000."""
    with ThreadPoolExecutor(cores()) as pool, create_db(path, "lmdb") as db:
        for number, content in enumerate(pool.map(lambda n: jpeg(n, SIDE, SIDE), range(images))):
            db.put(b"%08d" % number, serialize(caffe_pb2.Datum(data=content, label=number % 1000, encoded=True)))
