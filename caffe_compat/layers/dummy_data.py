"""DummyData: blobs filled by fillers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat import parallel
from caffe_compat.blob import Blob
from caffe_compat.errors import CaffeError
from caffe_compat.fillers import fill
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class DummyData(Layer):
    """Tops of given shapes; constant ones are filled once, the others afresh, in order, at every forward.

    ``data_filler``: none (constant 0), one for all tops, or one for each; likewise ``shape`` or its four old fields.
    """

    type = "DummyData"
    num_bottoms = (0, 0)
    num_tops = (1, None)
    splits_batch = True
    no_onnx = "a filler other than constant draws new values at every forward"

    def setup(self, shapes: list[Shape]) -> None:
        param, tops = self.param.dummy_data_param, len(self.param.top)
        fillers = list(param.data_filler)
        if len(fillers) not in (0, 1, tops):
            self.fail(f"data_filler is given {len(fillers)} times; expected 0, 1 or {tops}, the number of tops")
        self.fillers = (fillers or [caffe_pb2.FillerParameter(type="constant")]) * (tops if len(fillers) < 2 else 1)
        self.constant: dict[int, Tensor] = {}

    def make_top(self, index: int, shape: Shape) -> Blob:
        blob = super().make_top(index, shape)
        if self.fillers[index].type == "constant":
            blob.tensor = self._fill(index)
        return blob

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        whole = self._whole()
        try:
            return [parallel.world().part(shape) for shape in whole]
        except CaffeError as error:
            self.fail(f"dummy_data_param: {error}")

    def _whole(self) -> list[Shape]:
        """Shapes for the whole batch."""
        param, tops = self.param.dummy_data_param, len(self.param.top)
        legacy = [param.num, param.channels, param.height, param.width]
        if any(legacy) and param.shape:
            self.fail("give either shape or the older num, channels, height and width, not both")
        if any(legacy):
            counts = [len(field) for field in legacy]
            if any(count not in (1, tops) for count in counts):
                self.fail(f"num, channels, height and width need 1 value or {tops}, the number of tops; got {counts}")
            return [tuple(field[i if len(field) > 1 else 0] for field in legacy) for i in range(tops)]
        given = [tuple(shape.dim) for shape in param.shape]
        if len(given) not in (1, tops):
            self.fail(f"Must specify shape 1 time, or once for each of the {tops} tops; got {len(given)}")
        return given * tops if len(given) == 1 else given

    def _fill(self, i: int) -> Tensor:
        if i in self.constant:
            return self.constant[i].to(self.device)
        whole = fill(self.fillers[i], self._whole()[i], self.fail)
        value = torch.from_numpy(whole[parallel.world().rows(len(whole))] if whole.ndim else whole)
        if self.fillers[i].type == "constant":
            self.constant[i] = value
        return value.to(self.device)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._fill(i) for i in range(len(self.fillers)))

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        for i, top in enumerate(tops):
            if self.fillers[i].type != "constant":
                self.fail(f"data_filler {self.fillers[i].type} has no ONNX form: {self.no_onnx}")
            graph.alias(top, graph.constant(self._fill(i).cpu().numpy(), "values"))
