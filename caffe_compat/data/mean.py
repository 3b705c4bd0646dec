"""The mean image of a database: computed as compute_image_mean does, read, and summed up by channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffe_compat import glog
from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from caffe_compat.proto import binary, caffe_pb2, raw_blobs


def compute_image_mean(
    source: str | Path, target: str | Path | None = None, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Mean of all images of the database ``source``, float32 of shape (channels, height, width).

    The sum runs over the records in key order in single precision, as Caffe's does, so that the result has Caffe's
    bits. With ``target`` it is also written there, as a BlobProto file. CaffeError for records that are no images or
    differ in size.
    """
    with open_db(source) as db:
        glog.info("compute_image_mean.cpp:70", "Starting iteration")
        total, count = None, 0
        for key, record in db.records():
            try:
                image = parse(record).image()
                if total is None:
                    total = np.zeros(image.shape, np.float32)
                if image.shape != total.shape:
                    raise CaffeError(f"its shape is {list(image.shape)}, that of the first {list(total.shape)}")
            except CaffeError as error:
                raise db.error(key, error) from None
            np.add(total, image, out=total)
            count += 1
            if count % 10000 == 0:
                glog.info("compute_image_mean.cpp:95", f"Processed {count} files.")
            if progress:
                progress(count, len(db))
        if total is None:
            raise CaffeError(f"{db.path}: the database has no records")
    if count % 10000:
        glog.info("compute_image_mean.cpp:101", f"Processed {count} files.")
    mean = total / np.float32(count)
    if target is not None:
        glog.info("compute_image_mean.cpp:108", f"Write to {target}")
        write_mean(target, mean)
    return mean


def write_mean(path: str | Path, mean: NDArray[np.float32]) -> None:
    """Write a mean (channels, height, width) as compute_image_mean does: a BlobProto with the dimensions of old."""
    channels, height, width = mean.shape
    blob = caffe_pb2.BlobProto(num=1, channels=channels, height=height, width=width)
    blob.data.extend(mean.ravel().tolist())
    binary.write(path, blob)


def read_mean(path: str | Path) -> NDArray[np.float32]:
    """Read a mean file: float32 of shape (channels, height, width). CaffeError if it is missing or none."""
    blob = binary.read(path, raw_blobs.message_class("BlobProto"))
    shape = list(raw_blobs.shape_of(blob))
    if len(shape) not in (3, 4) or shape[:-3] not in ([], [1]) or min(shape) < 1:
        raise CaffeError(f"{path}: not a mean image: its shape is {shape}, expected [1, channels, height, width]")
    try:
        return raw_blobs.to_array(blob).reshape(shape[-3:]).copy()
    except ValueError as error:
        raise CaffeError(f"{path}: not a mean image: {error}") from None


def channel_means(mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of every channel, summed one after another in single precision as compute_image_mean does."""
    flat = mean.reshape(len(mean), -1)
    return np.cumsum(flat, axis=1, dtype=np.float32)[:, -1] / np.float32(flat.shape[1])


def mean_value_lines(mean: NDArray[np.float32]) -> list[str]:
    """What compute_image_mean prints last: ``mean_value channel [0]: 104.007`` and so on."""
    return [f"mean_value channel [{channel}]: {value:g}" for channel, value in enumerate(channel_means(mean).tolist())]
