"""A Caffe database as a torch Dataset, as somebody would write it without Caffe in mind."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from caffe_compat.data.mean import read_mean
from caffe_compat.proto import caffe_pb2


class LmdbImages(Dataset[tuple[Tensor, int]]):
    """Raw Datums from an LMDB: a random crop, mirrored every other time, less the mean image.

    An item is (image, label), the image float32, channels x crop x crop.
    """

    def __init__(self, path: str | os.PathLike[str], mean: str | os.PathLike[str], crop: int) -> None:
        self.path, self.crop = os.fspath(path), crop
        self.mean = np.asarray(read_mean(Path(mean)), np.float32)
        self.transaction: Any = None  # opened by the process that reads, since LMDB does not survive a fork
        with lmdb.open(self.path, readonly=True, lock=False) as database, database.begin() as transaction:
            self.keys = [bytes(key) for key in transaction.cursor().iternext(values=False)]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if self.transaction is None:
            self.transaction = lmdb.open(self.path, readonly=True, lock=False).begin()
        datum = caffe_pb2.Datum()
        datum.ParseFromString(self.transaction.get(self.keys[index]))
        shape = datum.channels, datum.height, datum.width
        pixels = np.frombuffer(datum.data, np.uint8).reshape(shape)
        top, left = random.randint(0, shape[1] - self.crop), random.randint(0, shape[2] - self.crop)
        window = np.s_[:, top : top + self.crop, left : left + self.crop]
        image = pixels[window].astype(np.float32) - self.mean[window]
        if random.random() < 0.5:
            image = image[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(image)), datum.label


def batches(images: LmdbImages, batch: int, workers: int, pinned: bool = False) -> DataLoader[Any]:
    """Full batches in the order of the database, read by that many processes beside this one, or by this one (0)."""
    return DataLoader(
        images,
        batch,
        num_workers=workers,
        drop_last=True,
        pin_memory=pinned,
        persistent_workers=workers > 0,
    )
