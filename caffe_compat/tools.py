"""Caffe's tool extract_features as a function; its other tools are where what they do belongs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe_compat import glog
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.blob import Blob

SHOWN = 1000  # images between two lines of the log


def extract_features(
    weights: str | os.PathLike[str],
    model: str | os.PathLike[str],
    blobs: Sequence[str],
    datasets: Sequence[str | Path],
    batches: int,
    backend: str = "lmdb",
    device: Any = "cpu",
) -> list[int]:
    """Run ``batches`` batches of the TEST net ``model`` and write some of its blobs to new databases.

    The i-th of ``datasets`` gets, for each image, the values of the i-th of ``blobs`` as a Datum of floats, under the
    number of the image with ten digits. ``device``: a torch.device, or the name of one. Returns how many records each
    database has. CaffeError, and none of the databases, if names or files do not fit.
    """
    from caffe_compat.net import Net

    if len(blobs) != len(datasets):
        raise CaffeError(
            f"the number of blob names and dataset names must be equal; {len(blobs)} blobs, {len(datasets)} datasets"
        )
    if batches < 1:
        raise CaffeError(f"number of batches: {batches}; expected at least 1")
    net = Net(model, caffe_pb2.TEST, weights=weights)
    net.to(device)
    for name in blobs:
        if name not in net.blobs:
            raise CaffeError(
                f"{os.fspath(model)}: Unknown feature blob name {name!r}; the net has {', '.join(net.blobs)}"
            )
    counts = [0] * len(blobs)
    with ExitStack() as stack:
        writers = []
        for dataset in datasets:
            glog.info("extract_features.cpp:125", f"Opening dataset {dataset}")
            writers.append(stack.enter_context(create_db(dataset, backend)))
        glog.error("extract_features.cpp:133", "Extracting Features")
        for _ in range(batches):
            net.forward_layers()
            for i, name in enumerate(blobs):
                for record in _records(net.blobs[name], name):
                    writers[i].put(b"%010d" % counts[i], record)
                    counts[i] += 1
                    if counts[i] % SHOWN == 0:
                        _show("extract_features.cpp:165", counts[i], name)
    for name, count in zip(blobs, counts):
        _show("extract_features.cpp:176", count, name)
    glog.error("extract_features.cpp:181", "Successfully extracted the features!")
    return counts


def _records(blob: Blob, name: str) -> list[bytes]:
    """A serialised Datum for each image of a batch."""
    if len(blob.shape) > 4:
        raise CaffeError(f"blob {name!r} has the shape {list(blob.shape)}; expected at most 4 axes")
    shape = {"channels": blob.channels, "height": blob.height, "width": blob.width}
    images = np.asarray(blob.tensor.cpu(), np.float32).reshape(blob.num, -1)
    return [serialize(caffe_pb2.Datum(**shape, float_data=image)) for image in images]


def _show(where: str, count: int, name: str) -> None:
    glog.error(where, f"Extracted features of {count} query images for feature blob {name}")
