"""From a database on disk to batches: this runtime's data layer, torch's own DataLoader, and real Caffe's layer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from caffe_compat import rng
from caffe_compat.cores import cores
from caffe_compat.data.mean import write_mean
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto.text import format as format_text
from yosinski.bench import caffe_time, memory, prepare, records
from yosinski.bench.comparison import Comparison, Progress, Ratio, Reported, Run, fastest, interleave
from yosinski.bench.databases import SIDE, write_noise
from yosinski.bench.nets import FULL, training_net
from yosinski.bench.plain import forever
from yosinski.bench.plain_data import LmdbImages, batches

BATCHES = 8  # of a round
AHEAD = 8  # batches that a reader may be ahead at the most
CAFFE_PASSES = 40  # so that what real Caffe has read before its clock starts counts for little
CAFFE_GOAL = 3.0


def measure(
    rounds: int = 7, batch: int = 256, long: bool = False, progress: Progress | None = None
) -> Iterator[Comparison]:
    """The comparisons; databases are small enough to stay in the page cache.

    Args:
        batch: images in a batch.
        long: look at memory over 100,000 images, too, and prepare twenty times as many pictures.
    """
    if long:
        yield from memory.measure(progress=progress)
    yield raw(rounds, batch, progress)
    yield records.encoded(rounds, progress=progress)
    yield records.index(rounds, progress=progress)
    yield from prepare.measure(20_000 if long else 1_000, progress)


def raw(rounds: int, batch: int, progress: Progress | None = None) -> Comparison:
    """Crops of 227x227, mirrored, less the mean image, from raw 256x256 colour images."""
    with TemporaryDirectory(prefix="yosinski-bench-") as name:
        folder = Path(name)
        write_noise(folder / "ours", 2 * batch)
        write_mean(folder / "mean", np.full((3, SIDE, SIDE), 127.5, np.float32))
        rng.set_random_seed(1)
        layer = data_layer_only(str(folder / "ours"), str(folder / "mean"))
        layer.layer[0].data_param.batch_size = batch
        crop = layer.layer[0].transform_param.crop_size
        net = Net(layer, caffe_pb2.TRAIN)

        def ours() -> Iterator[object]:
            while True:
                yield net.forward_layers()

        runs: dict[str, Run] = {"ours": steady(ours())}
        for workers in (0, cores()):
            # lmdb opens a database once in a process, hence the copies
            copy = shutil.copytree(folder / "ours", folder / f"workers_{workers}")
            loader = batches(LmdbImages(copy, folder / "mean", crop), batch, workers)
            runs[f"plain torch, {workers} workers"] = steady(forever(loader), AHEAD if workers else 0)
        ratios = []
        caffe = caffe_time.find()
        if caffe is not None:
            text = format_text(layer)
            runs["real Caffe"] = Reported(lambda: caffe.seconds(text, CAFFE_PASSES) * BATCHES / CAFFE_PASSES)
            ratios.append(Ratio("real Caffe", "ours", goal=CAFFE_GOAL))
        samples = interleave("raw images", runs, rounds, progress=progress)
        for reader in net.layers:
            if isinstance(reader, PrefetchingLayer):
                reader.close()
    plain = fastest(samples, "plain torch")
    return Comparison(
        "data/raw",
        f"raw LMDB of 256x256 images, crop {crop}, mirror, mean image: {BATCHES} batches of {batch}",
        samples,
        work=BATCHES * batch,
        ratios=(Ratio(plain, "ours", title="plain torch / ours"), *ratios),
        facts={"real Caffe": caffe.where if caffe else caffe_time.NOWHERE},
    )


def steady(delivered: Iterator[Any], ahead: int = AHEAD) -> Reported:
    """A run that takes batches, and first, without counting them, as many as may have been read between rounds."""

    def run() -> float:
        for _ in range(ahead):
            next(delivered)
        began = perf_counter()
        for _ in range(BATCHES):
            next(delivered)
        return perf_counter() - began

    return Reported(run)


def data_layer_only(source: str, mean: str) -> Any:
    """A NetParameter of nothing but the study's data layer for training."""
    definition = training_net(FULL.base)
    del definition.layer[1:]
    definition.layer[0].data_param.source = source
    definition.layer[0].transform_param.mean_file = mean
    return definition
