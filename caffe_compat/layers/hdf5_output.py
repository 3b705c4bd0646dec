"""HDF5Output: two blobs into an HDF5 file."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from caffe_compat import glog
from caffe_compat.atomic import writing
from caffe_compat.blob import Blob
from caffe_compat.errors import CaffeError
from caffe_compat.hdf5_image import hdf5_image
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register


@register
class HDF5Output(Layer):
    """Bottoms: the float32 datasets "data" and "label" of ``file_name``, both with four axes, missing ones being 1.

    Set-up makes an empty file; every forward replaces it by one with the batch at hand, so that at any time it is
    whole. (Caffe cannot write a second batch: it aborts because the datasets exist.)
    """

    type = "HDF5Output"
    recordable = False
    num_bottoms = (2, 2)
    num_tops = (0, 0)
    no_split = "it writes a file with all images"
    no_onnx = "it writes a file; nothing in a net reads from it"

    def setup(self, shapes: list[Shape]) -> None:
        self.file_name: str = self.param.hdf5_output_param.file_name
        if not self.file_name:
            self.fail("hdf5_output_param.file_name is missing")
        self._write({})

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        for name, shape in zip(self.param.bottom, shapes):
            if len(shape) > 4:
                self.fail(f"bottom {name!r} has the shape {list(shape)}; expected up to 4 axes")
        rows = [Blob(shape).num for shape in shapes]
        if rows[0] != rows[1]:
            self.fail(f"bottoms of {rows[0]} and {rows[1]} rows; expected the same number")
        return []

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        glog.info("hdf5_output_layer.cpp:32", f"Saving HDF5 file {self.file_name}")
        self.reshape([tuple(bottom.shape) for bottom in bottoms])
        four = [bottom.reshape(*bottom.shape, *[1] * (4 - bottom.dim())) for bottom in bottoms]
        self._write({name: values.detach().float().cpu().numpy() for name, values in zip(("data", "label"), four)})
        glog.info("hdf5_output_layer.cpp:37", f"Successfully saved {len(four[0])} rows")
        return ()

    def _write(self, datasets: dict[str, Any]) -> None:
        def fill(file: Any) -> None:
            for name, values in datasets.items():
                file.create_dataset(name, data=values)

        try:
            with writing(self.file_name) as temporary:
                temporary.write_bytes(hdf5_image(fill))
        except CaffeError as error:
            self.fail(f"hdf5_output_param.file_name: {error}")
