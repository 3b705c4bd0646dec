"""What every layer is: shapes, parameters, forward, and, where autograd is not what Caffe does, backward."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from caffe_compat import compat, precision
from caffe_compat.blob import Blob, ParamBlob
from caffe_compat.errors import CaffeError
from caffe_compat.fillers import fill

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph

Shape = tuple[int, ...]
INT_MAX = 2**31 - 1


@dataclass(frozen=True)
class Need:
    """Which gradients a backward has to give: one flag for each bottom and for each parameter."""

    bottoms: tuple[bool, ...]
    params: tuple[bool, ...]


NEEDS_LABELS = "it compares with labels, of which there are none in use; a definition for use leaves it out"
BRINGS_DATA = "it brings data from outside; in a definition for use an Input layer stands in its place"
Gradients = tuple[Sequence["Tensor | None"], Sequence["Tensor | None"]]  # of the bottoms, of the parameters


class Layer(nn.Module, ABC):
    """One layer of a net.

    Its life: constructed from its LayerParameter; ``setup`` once, with the bottoms' shapes (checks the fields, makes
    the parameters with their fillers, drawing from the main random stream in Caffe's order); ``reshape`` gives the
    tops' shapes whenever the bottoms' change; ``forward`` computes tops from bottoms.

    Gradients come from autograd through ``forward``. A class that defines ``backward`` is run without autograd: its
    ``forward`` keeps in ``self.saved`` what ``backward`` will need.
    """

    type: ClassVar[Any]  # Caffe's name, a string, the key in the registry; nn.Module has a method of this name
    num_bottoms: ClassVar[tuple[int, int | None]] = (1, 1)  # least and most; None: any number
    num_tops: ClassVar[tuple[int, int | None]] = (1, 1)
    auto_tops: ClassVar[bool] = False  # tops missing in the prototxt are made up, named "(automatic)"
    is_loss: ClassVar[bool] = False  # top 0 has loss weight 1 unless the prototxt says otherwise
    no_gradient: tuple[int, ...] = ()  # bottoms, such as labels, that force_backward leaves alone
    keeps_top: ClassVar[bool] = True  # backward reads the top's value, so no in-place layer may overwrite it
    multiplies: ClassVar[bool] = False  # products in the net's precision; takes float32 and bfloat16 bottoms
    no_onnx: ClassVar[str] = ""  # why the type, or what option of it, cannot be exported
    time_major: ClassVar[bool] = False  # the second bottom has the shape (time, batch)
    follows_dtype: bool = False  # takes float32 and bfloat16 bottoms, its tops are like them; others get float32
    recordable: bool = True  # on a GPU its passes neither wait for the device nor do anything on the host
    counts_in_forward: ClassVar[bool] = False  # how many images the tops have, only forward knows
    splits_batch: ClassVar[bool] = False  # a source of batches that gives each of several processes its part
    no_split: ClassVar[str] = ""  # why several processes cannot split its batch
    along: Any = None  # the axis along which values depend on each other, an int, if there is one; 0: all images do

    def __init__(self, param: Any, phase: int, where: str = "") -> None:
        super().__init__()
        self.param = param  # caffe.LayerParameter
        self.phase = phase  # caffe_pb2.TRAIN or TEST
        self.where = where or f"layer {param.name!r}"  # file, line and name: the start of an error
        self.name: str = param.name
        self.params = nn.ParameterList()
        self._blobs: list[ParamBlob] = []
        self.device = torch.device("cpu")
        self.compat, self.precision = compat.active(), precision.active()
        self.narrow: tuple[bool, ...] = ()  # set by the net: tops that it stores in bfloat16
        self.saved: Any = None
        self.in_place = False  # set by the net where forward may overwrite its bottom

    @property
    def takes_narrow(self) -> bool:
        """Whether the net hands it bfloat16 bottoms, in the precision of that name; else they are float32."""
        return self.multiplies or (self.follows_dtype and all(self.narrow))

    @classmethod
    def has_backward(cls) -> bool:
        return cls.backward is not Layer.backward

    def setup(self, shapes: list[Shape]) -> None:
        """Check the fields and make the parameters. ``shapes``: of the bottoms."""

    def make_top(self, index: int, shape: Shape) -> Blob:
        """A new blob for a top; for most layers one of zeros."""
        return Blob(shape)

    @abstractmethod
    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        """Shapes of the tops from those of the bottoms."""

    @abstractmethod
    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Tops from bottoms, in the shapes that ``reshape`` gives."""

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        """Gradients of bottoms and parameters from those of the tops, None where ``need`` is false."""
        self.fail(f"{self.type} cannot be differentiated")

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        """Append the nodes that compute ``tops`` from ``bottoms``, all given as names of values in the graph."""
        self.fail(f"type {self.type} has no ONNX form: {self.no_onnx}")

    def add_param(self, shape: Sequence[int], filler: Any) -> None:
        """Append a parameter blob of that shape, filled as a FillerParameter says."""
        self.check_shape(shape, f"parameter {len(self.params)}")
        value = fill(filler, tuple(shape), self.fail)
        self.params.append(nn.Parameter(torch.from_numpy(value)))

    @property
    def blobs(self) -> list[ParamBlob]:
        """The parameters as blobs, for users of pycaffe."""
        if [id(blob.parameter) for blob in self._blobs] != [id(parameter) for parameter in self.params]:
            self._blobs = [ParamBlob(parameter) for parameter in self.params]
        return self._blobs

    def fail(self, message: str) -> NoReturn:
        """Raise the one-line error for a mistake in this layer's definition or data."""
        raise CaffeError(f"{self.where}: {message}")

    def check_shape(self, shape: Sequence[int], what: str) -> None:
        """Fail for a shape that Caffe's ``Blob::Reshape`` refuses."""
        if any(size < 0 for size in shape) or math.prod(shape) > INT_MAX:
            self.fail(f"{what} has the shape {list(shape)}; expected no negative sizes, and at most {INT_MAX} values")

    def axis(self, axis: int, shape: Shape, field: str = "axis") -> int:
        """A non-negative axis from one that may count from the end."""
        if not -len(shape) <= axis < len(shape):
            self.fail(f"{field}: {axis} is out of range for a bottom of shape {list(shape)}")
        return axis % len(shape)


class NeuronLayer(Layer):
    """A layer that works element by element: one bottom, one top, of the same shape."""

    type: ClassVar[Any]

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return shapes


class Undifferentiable(Layer):
    """A layer whose tops change in steps, such as a count. Caffe aborts in its backward, even under force_backward.

    Here force_backward leaves its bottoms alone, and only a loss above it is refused.
    """

    type: ClassVar[Any]
    no_gradient: tuple[int, ...] = (0, 1)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        self.fail(f"{self.type} has no gradient; expected no loss above it that asks for one, and no loss_weight")


class LossLayer(Layer):
    """A layer whose top 0, a scalar, is to be minimised; bottom 1 is what bottom 0 should have been."""

    type: ClassVar[Any]
    num_bottoms = (2, 2)
    auto_tops = True
    is_loss = True
    no_onnx = NEEDS_LABELS
    no_gradient: tuple[int, ...] = (1,)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [()]
