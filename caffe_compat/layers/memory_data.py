"""MemoryData: batches from arrays that the program holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffe_compat import glog
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.layers.base import BRINGS_DATA, Layer, Shape
from caffe_compat.layers.registry import register


@register
class MemoryData(Layer):
    """Tops: the next ``batch_size`` images and labels of the arrays given to ``reset``, over and over.

    The arrays are not transformed, whatever ``transform_param`` says, and not copied: what is written into them later
    is delivered. The labels' shape is (batch_size) until the first forward, then (batch_size, 1, 1, 1), as in Caffe.
    """

    type = "MemoryData"
    num_bottoms = (0, 0)
    num_tops = (2, 2)
    no_onnx = BRINGS_DATA
    no_split = "its values are the program's to give"

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.memory_data_param
        self.shape: Shape = (param.batch_size, param.channels, param.height, param.width)
        if min(self.shape) < 1:
            self.fail(
                "memory_data_param: batch_size, channels, height and width have to be given and positive; "
                f"got {list(self.shape)}"
            )
        self._label_shape: Shape = self.shape[:1]
        self._arrays: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._position = 0
        try:
            Transformer(self.param.transform_param, self.phase).init_rng()  # for nothing, but it takes its word
        except CaffeError as error:
            self.fail(str(error))

    def reset(self, data: NDArray[np.float32], labels: NDArray[np.float32]) -> None:
        """Deliver from these arrays from now on, beginning with their first row.

        ``data``: float32 (n, channels, height, width), ``labels``: float32 (n) or (n, 1, 1, 1); both C contiguous, n a
        multiple of ``batch_size``.
        """
        if labels.ndim == 1:
            labels = np.ascontiguousarray(labels[:, None, None, None])
        for name, array, shape in (("data", data, self.shape[1:]), ("labels", labels, (1, 1, 1))):
            if array.ndim != 4 or array.shape[1:] != shape:
                self.fail(f"{name} array: shape {list(array.shape)}; expected [n, {', '.join(map(str, shape))}]")
            if array.dtype != np.float32 or not array.flags.c_contiguous:
                order = "" if array.flags.c_contiguous else "non-contiguous "
                self.fail(f"{name} array: {order}{array.dtype}; expected C contiguous float32")
        if len(data) != len(labels):
            self.fail(f"{len(data)} rows of data, but {len(labels)} of labels")
        if not len(data) or len(data) % self.shape[0]:
            self.fail(f"{len(data)} rows; expected a multiple of batch_size: {self.shape[0]}")
        if self.param.HasField("transform_param"):
            glog.warning("memory_data_layer.cpp:91", "MemoryData does not transform array data on Reset()")
        self._arrays, self._position = (data, labels), 0

    def data_state(self) -> dict[str, Any]:
        """The row that comes next; the arrays are the program's own to give again."""
        return {"position": self._position}

    def load_data_state(self, state: dict[str, Any]) -> None:
        """Go on at that row."""
        self._position = state["position"]

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [self.shape, self._label_shape]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        if self._arrays is None:
            self.fail("no data yet: give it some with net.set_input_arrays(data, labels)")
        self._label_shape = (self.shape[0], 1, 1, 1)
        start, end = self._position, self._position + self.shape[0]
        self._position = end % len(self._arrays[0])
        # A copy, since users and later layers may write into blobs, and the arrays are the user's.
        return tuple(torch.tensor(array[start:end], device=self.device) for array in self._arrays)
