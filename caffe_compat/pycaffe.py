"""The surface that users of pycaffe know; ``import caffe_compat as caffe`` offers it."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from caffe_compat import net as core
from caffe_compat import weights as weight_files
from caffe_compat.blob import Blob
from caffe_compat.layers.registry import layer_type_list
from caffe_compat.proto import caffe_pb2
from caffe_compat.rng import rng_next_u32, set_random_seed
from caffe_compat.solver import Solver

__all__ = [
    "TEST",
    "TRAIN",
    "Blob",
    "Net",
    "SGDSolver",
    "get_solver",
    "layer_type_list",
    "rng_next_u32",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
]

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


class _Mode:
    """Where new nets go; one for the process, as in Caffe."""

    gpu = False
    device_id = 0

    @classmethod
    def device(cls) -> torch.device:
        return torch.device("cuda", cls.device_id) if cls.gpu else torch.device("cpu")


def set_mode_cpu() -> None:
    """Build nets on the CPU."""
    _Mode.gpu = False


def set_mode_gpu() -> None:
    """Build nets on the GPU chosen by ``set_device``."""
    _Mode.gpu = True


def set_device(device_id: int) -> None:
    """Choose the GPU for ``set_mode_gpu``."""
    _Mode.device_id = device_id


class Net(core.Net):
    """``Net(prototxt, phase, level=0, stages=None, weights=None)``, or the older ``Net(prototxt, weights, phase)``.

    Blobs are numpy arrays behind ``net.blobs[name].data`` and ``.diff``, parameters behind ``net.params[layer][i]``.
    """

    def __init__(
        self,
        network_file: str | os.PathLike[str] | Any,
        *args: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        source: str | os.PathLike[str] = "",
    ) -> None:
        if len(args) == 2 and isinstance(args[0], (str, os.PathLike)):
            weights, phase = args
        elif args:
            given = dict(zip(("phase", "level", "stages", "weights"), args))
            phase, level = given.get("phase", phase), given.get("level", level)
            stages, weights = given.get("stages", stages), given.get("weights", weights)
        super().__init__(network_file, phase, level, stages, weights, source)
        self.to(_Mode.device())

    @property
    def blobs(self) -> OrderedDict[str, Blob]:  # type: ignore[override]
        """All blobs by name, in the order in which the layers make them."""
        return OrderedDict(self._blobs)

    @property
    def params(self) -> OrderedDict[str, list[Any]]:  # type: ignore[override]
        """Parameter blobs by layer name."""
        return OrderedDict(super().params)

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    @property
    def _blob_names(self) -> list[str]:
        return list(self._blobs)

    def forward(  # type: ignore[override]
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Run forward; keyword arguments fill input blobs.

        Returns the outputs (or, with ``end``, that layer's tops) and the blobs asked for, by name.
        """
        if kwargs and set(kwargs) != set(self.inputs):
            raise ValueError(f"Input blob arguments do not match net inputs: {sorted(kwargs)}, expected {self.inputs}")
        for name, value in kwargs.items():
            if value.shape[0] != self._blobs[name].shape[0]:
                raise ValueError(f"{name!r}: batch of {value.shape[0]}, the blob has {self._blobs[name].shape[0]}")
            self._blobs[name].data[...] = value
        first = self._layer_names.index(start) if start is not None else 0
        last = self._layer_names.index(end) if end is not None else len(self.layers) - 1
        self.forward_layers(first, last)
        names = [*(self.outputs if end is None else self.wirings[last].tops), *(blobs or [])]
        return {name: self._blobs[name].data for name in names}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Run backward; keyword arguments fill the diffs of outputs.

        Returns the diffs of the inputs (or, with ``end``, of that layer's bottoms) and those asked for, by name.
        """
        if kwargs and set(kwargs) != set(self.outputs):
            raise ValueError(f"Top diff arguments do not match net outputs: {sorted(kwargs)}, expected {self.outputs}")
        for name, value in kwargs.items():
            self._blobs[name].diff[...] = value
        first = self._layer_names.index(start) if start is not None else len(self.layers) - 1
        last = self._layer_names.index(end) if end is not None else 0
        self.backward_layers(first, last)
        names = [*(self.inputs if end is None else self.wirings[last].bottoms), *(diffs or [])]
        return {name: self._blobs[name].diff for name in names}

    def save(self, path: str) -> None:
        """Write the parameters as a ``.caffemodel``."""
        weight_files.save(self, path)


class SGDSolver(Solver):
    """``caffe.SGDSolver(solver_prototxt)``: ``net``, ``test_nets``, ``iter``, ``step``, ``solve``, ``snapshot``, …."""

    def __init__(self, solver_file: str | os.PathLike[str]) -> None:
        super().__init__(solver_file, Net, _Mode.device())


def get_solver(solver_file: str | os.PathLike[str]) -> SGDSolver:
    """The solver of a prototxt, of the type that it names."""
    return SGDSolver(solver_file)
