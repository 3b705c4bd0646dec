"""An exported model as a file: what goes in, what comes out, what it says about itself."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from yosinski.images import Images


class OnnxModel:
    """An ONNX file with images as input.

    Attributes:
        path: of the file.
        proto: its content.
        metadata: its metadata_props.
        output: the value that is compared: ``prob``, or else the first output.
    """

    def __init__(self, path: Path) -> None:
        import onnx

        if not path.is_file():
            raise CaffeError(f"{path}: no such ONNX file; yosinski export writes one")
        self.path = path
        try:
            self.proto = onnx.load(path)
        except Exception as error:  # protobuf's DecodeError, or OSError for data in files of its own
            raise CaffeError(f"{path}: not an ONNX file: {one_line(error)}") from None
        self.metadata = {entry.key: entry.value for entry in self.proto.metadata_props}
        names = [value.name for value in self.proto.graph.output]
        if not names:
            raise CaffeError(f"{path}: not an ONNX file: it has no outputs")
        self.output: str = "prob" if "prob" in names else names[0]

    @cached_property
    def _input(self) -> tuple[str, list[int | str]]:
        """Name and sizes of the input. CaffeError unless it is the only one and takes any number of images."""
        inputs = [(value.name, dims_of(value)) for value in self.proto.graph.input]
        if len(inputs) != 1 or len(inputs[0][1]) != 4 or isinstance(inputs[0][1][0], int):
            wanted = [dims for _, dims in inputs]
            raise CaffeError(f"{self.path}: takes inputs {wanted}; expected one, [N, channels, height, width]")
        return inputs[0]

    @property
    def input(self) -> str:
        """Name of the input. CaffeError unless it is one of images."""
        return self._input[0]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of the images that go in. CaffeError unless these are the input."""
        return tuple(map(int, self._input[1][1:]))

    @property
    def takes_pixels(self) -> bool:
        """Whether images go in as they are stored, uint8, because crop, mean and scale are in the model."""
        return takes_pixels(self.proto.graph.input[0])

    @property
    def in_half(self) -> bool:
        """Whether it computes in float16."""
        return self.metadata.get("precision") == "float16"

    def check_images(self, images: Images) -> None:
        """CaffeError unless the images are what the model takes."""
        shape = images.stored_shape if self.takes_pixels else images.shape
        if self.image_shape != tuple(shape):
            kind = "stored" if self.takes_pixels else "transformed"
            raise CaffeError(f"{self.path}: takes images {list(self.image_shape)}, the {kind} ones are {list(shape)}")


def one_line(error: object) -> str:
    """An error's text without line breaks."""
    return " ".join(str(error).split())


def dims_of(value: Any) -> list[int | str]:
    """The sizes of a ValueInfoProto; a name stands for one that is known at run time only."""
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def takes_pixels(value: Any) -> bool:
    """Whether an input, a ValueInfoProto, is of images as they are stored, uint8."""
    import onnx

    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.UINT8)
