"""Small databases to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.proto import caffe_pb2

MakeDb = Callable[..., Path]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20140101)


@pytest.fixture
def make_db(tmp_path: Path) -> MakeDb:
    """Writes images (channels, height, width) with labels 0, 1, 2, ... to a database."""

    def make(images: Iterable[np.ndarray], backend: str = "lmdb", name: str = "db") -> Path:
        path = tmp_path / name
        with create_db(path, backend) as db:
            for i, image in enumerate(images):
                channels, height, width = image.shape
                datum = caffe_pb2.Datum(channels=channels, height=height, width=width, label=i)
                if image.dtype == np.uint8:
                    datum.data = image.tobytes()
                else:
                    datum.float_data.extend(image.ravel().tolist())
                db.put(b"%08d" % i, serialize(datum))
        return path

    return make
