"""Input: blobs that the user fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Input(Layer):
    """Tops of the shapes in ``input_param.shape`` (one for all, or one for each); their values are the user's."""

    type = "Input"
    no_split = "its values are the program's to give"
    num_bottoms = (0, 0)
    num_tops = (1, None)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        given = [tuple(shape.dim) for shape in self.param.input_param.shape]
        tops = len(self.param.top)
        if len(given) not in (0, 1, tops):
            self.fail(f"input_param has {len(given)} shapes; expected 0, 1 or {tops}, the number of tops")
        if len(given) == 1:
            given *= tops
        return given or [()] * tops  # without a shape the user reshapes the blob before use

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        """No nodes: the tops are the model's inputs."""

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return ()  # the net leaves the blobs as they are
