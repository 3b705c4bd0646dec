"""HDF5Data: batches of rows from HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caffe_compat import libc_rand, parallel
from caffe_compat.errors import CaffeError
from caffe_compat.layers.base import BRINGS_DATA, Layer, Shape
from caffe_compat.layers.registry import register


@register
class HDF5Data(Layer):
    """Each top delivers the dataset of its name, ``batch_size`` rows a forward, as float32.

    ``source`` lists the files. Batches run on across files and start again at the first row; a whole file is held in
    memory. ``shuffle`` shuffles files and rows with the C library's generator, as Caffe does.
    """

    type = "HDF5Data"
    num_bottoms = (0, 0)
    num_tops = (1, None)
    no_onnx = BRINGS_DATA
    splits_batch = True

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.hdf5_data_param
        if self.param.HasField("transform_param"):
            self.fail("HDF5Data does not transform data; remove transform_param")
        if param.batch_size < 1:
            self.fail(f"hdf5_data_param.batch_size: {param.batch_size}, expected a positive number")
        try:
            self.source: str = param.source
            self.files = Path(self.source).read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"Failed to open source file: {param.source!r}: {error}")
        if not self.files:
            self.fail(f"Must have at least 1 HDF5 filename listed in {param.source!r}")
        self.shuffle, self.batch_size = param.shuffle, param.batch_size
        try:
            self.mine = parallel.world().rows(self.batch_size)
        except CaffeError as error:
            self.fail(f"hdf5_data_param.batch_size: {error}")
        if self.shuffle:
            libc_rand.process().shuffle(self.files)
        self.file = self.row = 0
        self.rows: list[int] = []  # of the file at hand, in the order of delivery
        self.arrays: list[np.ndarray] = []
        self._load(self.files[0])

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [parallel.world().part((self.batch_size, *array.shape[1:])) for array in self.arrays]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        batches = [np.empty((self.batch_size, *array.shape[1:]), np.float32) for array in self.arrays]
        done = 0
        while done < self.batch_size:
            rows = self.rows[self.row : self.row + self.batch_size - done]
            for batch, array in zip(batches, self.arrays):
                batch[done : done + len(rows)] = array[rows]
            done += len(rows)
            self.row += len(rows)
            if self.row == len(self.rows):
                self._next_file()
        return tuple(torch.from_numpy(batch[self.mine]).to(self.device) for batch in batches)

    def data_state(self) -> dict[str, Any]:
        """What comes next: the files and the rows of the one at hand, in their order, and the places in both."""
        return {"files": self.files, "file": self.file, "rows": np.array(self.rows), "row": self.row}

    def load_data_state(self, state: dict[str, Any]) -> None:
        """Go on from there. The C library's generator, which shuffles, is everybody's, so it is not part of this."""
        if sorted(state["files"]) != sorted(self.files):
            self.fail(f"state of the data: saved by a layer with other files than those of {self.source!r}")
        self.files, self.file = list(state["files"]), state["file"]
        self._load(self.files[self.file])
        self.rows, self.row = state["rows"].tolist(), state["row"]

    def _next_file(self) -> None:
        """Rewind, or go on to the next of several files; in the latter case Caffe shuffles the rows twice."""
        if len(self.files) > 1:
            self.file = (self.file + 1) % len(self.files)
            if self.file == 0 and self.shuffle:
                libc_rand.process().shuffle(self.files)
            self._load(self.files[self.file])
        self.row = 0
        if self.shuffle:
            libc_rand.process().shuffle(self.rows)

    def _load(self, path: str) -> None:
        import h5py

        try:
            with h5py.File(path, "r") as file:
                arrays = [self._dataset(file, path, name) for name in self.param.top]
        except OSError as error:
            self.fail(f"Failed opening HDF5 file: {path!r}: {error}")
        lengths = [len(array) for array in arrays]
        if len(set(lengths)) > 1 or not lengths[0]:
            self.fail(f"{path}: datasets {list(self.param.top)} have {lengths} rows; expected one number above 0")
        for name, old, new in zip(self.param.top, self.arrays, arrays):
            if old.shape[1:] != new.shape[1:]:
                self.fail(
                    f"{path}: rows of {name!r} have the shape {list(new.shape[1:])}, before {list(old.shape[1:])}"
                )
        self.arrays, self.rows = arrays, list(range(lengths[0]))
        if self.shuffle:
            libc_rand.process().shuffle(self.rows)

    def _dataset(self, file: Any, path: str, name: str) -> np.ndarray:
        dataset = file.get(name)
        if getattr(dataset, "ndim", 0) < 1 or dataset.dtype.kind not in "fiu":
            self.fail(f"{path}: no dataset {name!r} of numbers with at least 1 axis; it has {sorted(file)}")
        return dataset.astype(np.float32)[...]
