"""Mean images of many datasets in one pass over the whole.

Images are summed as integers, one sum for each combination of datasets that some image is in: the sums are exact,
whatever the order, and a mean is the sum of its combinations, divided in double precision and rounded once. Caffe adds
in single precision, in the order of the dataset's own database; its sums pass 2^24 early, so its last digits are
rounding errors of that order. ``compute_image_mean`` on a dataset's index gives those digits, in one pass for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffe_compat.cores import cores
from caffe_compat.data.datum import Record, parse
from caffe_compat.data.db import open_db
from caffe_compat.data.in_order import in_order
from caffe_compat.data.index_db import IndexDb
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress

MOST = 2**32 // 256  # images whose sum fits into 32 bits


def index_means(
    whole: Path, indices: Mapping[str, Path], workers: int | None = None, progress: Progress | None = None
) -> dict[str, NDArray[np.float32]]:
    """Mean of each index's images, float32 (channels, height, width), by reading the LMDB ``whole`` once.

    ``whole`` itself is in the result as "whole". CaffeError for an index over another database, without images, or for
    records that are no 8-bit images of one size.
    """
    members: dict[bytes, int] = {}  # a bit for each dataset
    for bit, path in enumerate(indices.values()):
        with IndexDb(str(path)) as index:
            if index.base.resolve() != whole.resolve():
                raise CaffeError(f"{path}: an index over {index.base}; expected {whole}")
            if not len(index):
                raise CaffeError(f"{path}: no images to take the mean of")
            for _, key, _ in index.entries():
                members[key] = members.get(key, 0) | 1 << bit
    sums, counts = _sums(whole, members, workers, progress)
    means = {"whole": _mean(sums, counts, list(sums))}
    for bit, name in enumerate(indices):
        means[name] = _mean(sums, counts, [group for group in sums if group >> bit & 1])
    return means


def _sums(
    whole: Path, members: Mapping[bytes, int], workers: int | None, progress: Progress | None
) -> tuple[dict[int, NDArray[np.uint32]], dict[int, int]]:
    """Sum and number of the images of each combination of datasets."""
    sums: dict[int, NDArray[np.uint32]] = {}
    counts: dict[int, int] = {}
    shape: tuple[int, ...] | None = None
    with open_db(whole) as db, ThreadPoolExecutor(workers or cores()) as pool:
        if not 0 < len(db) < MOST:
            raise CaffeError(f"{db.path}: {len(db)} records; expected 1 to {MOST - 1} to take the mean of")

        def image(pair: tuple[bytes, Record]) -> tuple[bytes, NDArray]:
            try:
                return pair[0], parse(pair[1]).image()
            except CaffeError as error:
                raise db.error(pair[0], error) from None

        pairs: Iterator[tuple[bytes, Record]] = ((bytes(key), record) for key, record in db.records())
        for done, (key, pixels) in enumerate(in_order(pool, image, pairs), 1):
            shape = shape or pixels.shape
            if pixels.shape != shape or pixels.dtype != np.uint8:
                raise db.error(key, f"{pixels.dtype} {list(pixels.shape)}; expected uint8 {list(shape)} as the first")
            group = members.get(key, 0)
            if group not in sums:
                sums[group], counts[group] = np.zeros(shape, np.uint32), 0
            np.add(sums[group], pixels, out=sums[group])
            counts[group] += 1
            if progress:
                progress(done, len(db))
    return sums, counts


def _mean(sums: Mapping[int, NDArray[np.uint32]], counts: Mapping[int, int], groups: list[int]) -> NDArray[np.float32]:
    total = sum(sums[group].astype(np.uint64) for group in groups)
    return np.asarray(total / np.float64(sum(counts[group] for group in groups)), np.float32)
