"""The images of a database in batches, as a net sees them and as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2


class Batch(NamedTuple):
    """Some images, in key order.

    Attributes:
        data: float32 (n, channels, height, width), transformed.
        pixels: uint8, as they are stored; None unless asked for.
        labels: int64 (n,).
    """

    data: NDArray[np.float32]
    pixels: NDArray[np.uint8] | None
    labels: NDArray[np.int64]

    def first(self, count: int) -> Batch:
        """The first so many of them."""
        return Batch(self.data[:count], None if self.pixels is None else self.pixels[:count], self.labels[:count])


class Images:
    """The images of a database, once.

    Args:
        path: an LMDB or LevelDB.
        transform: the TransformationParameter.
        limit: the first so many only.
        pixels: whether batches hold the images as stored, too.

    Attributes:
        count: how many there are.
        shape: of one image, transformed.
        stored_shape: of one image, before the crop.

    Raises:
        CaffeError: no such database, or its images and the transformation do not fit together.
    """

    def __init__(self, path: Path, transform: Any, batch: int, limit: int | None = None, pixels: bool = False) -> None:
        from caffe_compat.data.db import open_db

        self._path = path
        with open_db(path) as db:
            self.count = min(len(db), limit or len(db))
        self._size = max(1, min(batch, self.count))
        self._readers: list[Any] = []
        self._pixels = pixels
        stored = caffe_pb2.TransformationParameter(force_color=transform.force_color, force_gray=transform.force_gray)
        try:
            for wanted in (transform, stored):
                self._readers.append(self._reader(wanted))
            self.shape, self.stored_shape = (reader.first_shape() for reader in self._readers)
        except CaffeError:
            self.close()
            raise

    def _reader(self, transform: Any) -> Any:
        from caffe_compat.data.db import open_db
        from caffe_compat.data.reader import Reader
        from caffe_compat.data.transform import Transformer

        transformer = Transformer(transform, caffe_pb2.TEST)
        return Reader(open_db(self._path), transformer, self._size)

    def __enter__(self) -> Images:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        for reader in self._readers:
            reader.close()

    def __iter__(self) -> Iterator[Batch]:
        transformed, stored = self._readers
        left = self.count
        while left > 0:
            batch = transformed.read()  # the last one begins anew at the first image
            pixels = self._bytes(stored.read().data.numpy()[:left]) if self._pixels else None
            labels = batch.label.numpy()[:left].astype(np.int64)
            yield Batch(batch.data.numpy()[:left], pixels, labels)
            left -= len(batch.label)

    def _bytes(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        pixels = values.astype(np.uint8)
        if (pixels != values).any():
            raise CaffeError(f"{self._path}: holds images that are no bytes (float_data), which this model takes")
        return pixels
