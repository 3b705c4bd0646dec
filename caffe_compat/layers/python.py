"""Python: layers that users write in Python, on numpy arrays."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from caffe_compat import glog
from caffe_compat.blob import Blob, ParamBlob
from caffe_compat.errors import CaffeError
from caffe_compat.install import install_as_caffe
from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register

IMPORTING = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
ABOVE_THE_USERS = {__file__, importlib.__file__, *IMPORTING}  # files whose frames lead to the user's
Result = TypeVar("Result")


class BlobVec(Sequence[ParamBlob]):
    """A layer's parameters, to which its ``setup`` may add."""

    def __init__(self, layer: Layer) -> None:
        self._layer = weakref.proxy(layer)  # the layer holds its user's object, which holds this

    def add_blob(self, *shape: int) -> None:
        """Append a parameter of that shape, zeros until somebody fills it."""
        self._layer.params.append(nn.Parameter(torch.zeros(shape)))

    @overload
    def __getitem__(self, index: int) -> ParamBlob: ...
    @overload
    def __getitem__(self, index: slice) -> list[ParamBlob]: ...
    def __getitem__(self, index: int | slice) -> ParamBlob | list[ParamBlob]:
        return self._layer.blobs[index]

    def __len__(self) -> int:
        return len(self._layer.params)


class UserLayer:
    """What a layer written in Python derives from, under the name ``caffe.Layer``.

    ``bottom`` and ``top`` are lists of blobs, which have ``shape``, ``reshape(*shape)`` and, as writable numpy arrays,
    ``data`` and ``diff``. ``param_str`` (until 2015 ``param_str_``) and ``phase`` are there from ``setup`` on;
    ``self.blobs.add_blob(*shape)``, in ``setup``, makes a parameter.
    """

    type = "Python"
    param_str: str
    param_str_: str
    phase: int
    blobs: BlobVec

    def __init__(self, param: Any) -> None:
        """``param``: the LayerParameter."""

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Check the definition, once; the bottoms have their shapes, but no values yet."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes; called before every forward."""
        raise NotImplementedError("a Python layer needs reshape(self, bottom, top)")

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Fill the tops' ``data``; the bottoms' is to be read."""
        raise NotImplementedError("a Python layer needs forward(self, bottom, top)")

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Fill the bottoms' ``diff`` where ``propagate_down``, and add to the parameters'."""
        raise NotImplementedError("a Python layer needs backward(self, top, propagate_down, bottom)")


@register
class Python(Layer):
    """Runs the class ``layer`` of the module ``module``, which is looked for in the current folder first.

    The class is a ``caffe.Layer``. In ``net.layers`` this object stands for it and offers its attributes.
    """

    type = "Python"
    num_bottoms = (0, None)
    num_tops = (0, None)
    recordable = False
    no_onnx = "what it computes is written in Python"
    no_split = "what it does with the images of a batch is written in Python"

    def __init__(self, param: Any, phase: int, where: str = "") -> None:
        super().__init__(param, phase, where)
        python_param = param.python_param
        if not python_param.module or not python_param.layer:
            self.fail("python_param: module and layer, the names of a Python module and a class in it, are needed")
        with _current_folder_first():
            package = python_param.module.partition(".")[0]
            if not package or (package not in sys.modules and importlib.util.find_spec(package) is None):
                missing = package or python_param.module
                self.fail(f"python_param.module: {missing!r} is neither in the current folder nor on PYTHONPATH")
            module = self._run(f"import {python_param.module}", importlib.import_module, python_param.module)
        self._file = getattr(module, "__file__", None)
        kind = getattr(module, python_param.layer, None)
        if not (isinstance(kind, type) and issubclass(kind, UserLayer)):
            self.fail(f"python_param.layer: {python_param.layer!r} in {self._file} is no class made from caffe.Layer")
        self.user = self._run(python_param.layer, kind, param)
        self.user.param_str = self.user.param_str_ = python_param.param_str
        self.user.phase, self.user.blobs = phase, BlobVec(self)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "user" not in self.__dict__:
                raise
            return getattr(self.user, name)

    def setup(self, shapes: list[Shape]) -> None:
        self._bottoms = [Blob(shape) for shape in shapes]
        own = {name: blob for name, blob in zip(self.param.bottom, self._bottoms) if name in self.param.top}
        self._tops = [own.get(name) or Blob() for name in self.param.top]
        self._call("setup", self._bottoms, self._tops)

    def make_top(self, index: int, shape: Shape) -> Blob:
        return self._tops[index]  # so that whatever stands in the net's blob is what the user's code finds

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        for blob, shape in zip(self._bottoms, shapes):
            blob.reshape(*shape)
        self._call("reshape", self._bottoms, self._tops)
        return [top.shape for top in self._tops]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        blobs = [Blob(bottom.shape, bottom) for bottom in bottoms]
        tops = list(self._tops)
        for i, (name, blob, bottom) in enumerate(zip(self.param.bottom, blobs, bottoms)):
            in_place = name in self.param.top[i : i + 1]
            blob.tensor = bottom.clone() if in_place else bottom
            if in_place:
                tops[i] = blob
        self._call("reshape", blobs, tops)
        self._call("forward", blobs, tops)
        self.saved = blobs, tops
        self._flush(blob.tensor for blob in self.blobs)
        return tuple(top.tensor.clone() for top in tops)  # the user's code will write over its own ones

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        bottoms, tops = self.saved or (self._bottoms, self._tops)
        for top, diff in zip(tops, diffs):
            top.grad = diff
        self._call("backward", tops, list(need.bottoms), bottoms)
        self._flush(blob.grad for blob in self.blobs)
        return [blob.grad if flag else None for blob, flag in zip(bottoms, need.bottoms)], [None] * len(need.params)

    def _flush(self, values: Iterator[Tensor]) -> None:
        """Bring what was written into numpy arrays to the device, by asking for the tensors."""
        for _ in values:
            pass

    def _call(self, method: str, *arguments: Any) -> None:
        self._run(f"{self.param.python_param.layer}.{method}", getattr(self.user, method), *arguments)

    def _run(self, what: str, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call the user's code; of its exception make an error that says in one line where it comes from.

        The traceback goes to the log, as Caffe prints it, from the user's first frame on.
        """
        try:
            return function(*arguments)
        except Exception as error:
            trace = error.__traceback__
            while trace and trace.tb_next and trace.tb_frame.f_code.co_filename in ABOVE_THE_USERS:
                trace = trace.tb_next
            shown = "".join(traceback.format_exception(type(error), error, trace)).rstrip()
            glog.error("python_layer", f"{self.name}: {what} failed\n{shown}")
            frames = traceback.extract_tb(trace)
            own = [frame for frame in frames if frame.filename == self.__dict__.get("_file")] or frames[-1:]
            reason = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
            raise CaffeError(f"{self.where}: {what}: {reason} ({own[-1].filename}:{own[-1].lineno})") from error


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Let modules be imported from the current folder, and ``import caffe`` in them mean this package."""
    install_as_caffe()
    folder = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
