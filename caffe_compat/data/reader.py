"""From a database to batches: records parsed, decoded, placed and transformed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffe_compat import glog, rng
from caffe_compat.data.buffers import BufferPool
from caffe_compat.data.datum import AS_STORED, Buffer, parse
from caffe_compat.data.db import Database
from caffe_compat.data.transform import Placement, Transformer
from caffe_compat.errors import CaffeError

WORKERS = min(4, os.cpu_count() or 1)  # JPEG decoding is what keeps more than one busy

Result = TypeVar("Result")
State = dict[str, Any]  # "records": read so far; "rng": the transformer's generator, or None


@dataclass
class Batch:
    """Images float32 (n, channels, height, width) and labels float32 (n), on the CPU.

    Where ``places`` is given the images are only cut, uint8 or float32 in pinned memory: mean and scale are left to
    ``Transformer.finish``, on the device. ``state`` is that of the reader behind this batch.
    """

    data: Tensor
    label: Tensor
    places: list[Placement] | None
    state: State


class Reader:
    """Reads a database round and round, in key order, in batches."""

    def __init__(self, db: Database, transformer: Transformer, batch_size: int) -> None:
        self.db = db
        self.transformer = transformer
        self.batch_size = batch_size
        self.device = torch.device("cpu")  # where the batches will be wanted
        self._buffers = BufferPool()
        self._pool = ThreadPoolExecutor(WORKERS, "data")
        self._records = 0
        self._warned = False
        self._source = self._round_and_round(0)

    def first_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of the output for the first image of the database."""
        for key, record in self.db.records():
            image, _ = self._load(key, record)
            return self._shape(key, image)
        raise CaffeError(f"{self.db.path}: the database has no records")

    def read(self) -> Batch:
        """The next batch. CaffeError, naming the key, for a record that makes no image of the batch's shape."""
        records = [next(self._source) for _ in range(self.batch_size)]
        self._records += len(records)
        loaded = self._in_parallel(self._load, *zip(*records))
        images = [image for image, _ in loaded]
        labels = torch.tensor([label for _, label in loaded], dtype=torch.float32)
        shape = self._shape(records[0][0], images[0])
        for (key, _), image in zip(records, images):
            if self._shape(key, image) != shape:
                raise self.db.error(
                    key, f"its image gives {list(self._shape(key, image))}, the batch's first {list(shape)}"
                )
        places = [self.transformer.draw(image.shape) for image in images]
        if self.device.type == "cpu":
            data = self._buffers.take((len(images), *shape))
            self._in_parallel(self.transformer.apply, images, places, data.numpy())
            return Batch(data, labels, None, self.state())
        dtype = torch.float32 if any(image.dtype != np.uint8 for image in images) else torch.uint8
        data = torch.empty((len(images), *shape), dtype=dtype, pin_memory=torch.cuda.is_available())
        self._in_parallel(self.transformer.cut, images, places, data.numpy())
        return Batch(data, labels, places, self.state())

    def state(self) -> State:
        """Where reading stands; numbers and arrays only."""
        generator = self.transformer.rng
        return {"records": self._records, "rng": generator.get_state() if generator else None}

    def load_state(self, state: State) -> None:
        """Go on from a state of a reader of the same database with the same transformation."""
        place = state["rng"]
        if (place is not None) != self.transformer.random:
            raise CaffeError("state of the data: saved by a layer with another crop_size or mirror")
        if place is not None:
            self.transformer.rng = rng.Rng(0)
            try:
                self.transformer.rng.set_state(place)
            except ValueError as error:
                raise CaffeError(f"state of the data: {error}") from None
        self._records = state["records"]
        self._source = self._round_and_round(self._records % len(self.db))

    def close(self) -> None:
        self._pool.shutdown()
        self.db.close()

    def _round_and_round(self, skip: int) -> Iterator[tuple[Buffer, Buffer]]:
        while True:
            yield from self.db.records(skip)
            skip = 0
            glog.info("data_layer.cpp:73", "Restarting data prefetching from start.")

    def _load(self, key: Buffer, record: Buffer) -> tuple[NDArray, int]:
        try:
            datum = parse(record)
            if self.transformer.mode != AS_STORED and not datum.encoded and not self._warned:
                self._warned = True
                glog.error("data_transformer.cpp:166", "force_color and force_gray only for encoded datum")
            return datum.image(self.transformer.mode), datum.label
        except CaffeError as error:
            raise self.db.error(key, error) from None

    def _shape(self, key: Buffer, image: NDArray) -> tuple[int, int, int]:
        try:
            return self.transformer.shape(image.shape)
        except CaffeError as error:
            raise self.db.error(key, error) from None

    def _in_parallel(self, work: Callable[..., Result], *arguments: Any) -> list[Result]:
        """``map`` over the threads, in few large pieces, since handing over costs as much as an image."""
        count = len(arguments[0])
        step = -(-count // WORKERS)
        pieces = [[column[i : i + step] for column in arguments] for i in range(0, count, step)]
        done = [self._pool.submit(lambda piece: list(map(work, *piece)), piece) for piece in pieces]
        return [result for future in done for result in future.result()]
