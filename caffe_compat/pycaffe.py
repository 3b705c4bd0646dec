"""``caffe.Net``: the net as users of pycaffe know it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any

import numpy as np
from torch import Tensor

from caffe_compat import glog, mode
from caffe_compat import net as core
from caffe_compat import weights as weight_files
from caffe_compat.blob import ParamBlob
from caffe_compat.errors import CaffeError
from caffe_compat.layers.base import Layer
from caffe_compat.layers.memory_data import MemoryData

Arrays = dict[str, np.ndarray]
Callback = Callable[[int], Any]  # is given the index of a layer


class Net(core.Net):
    """A net, as pycaffe offers it.

    ``Net(prototxt, phase, level=0, stages=None, weights=None)``, all of them also by name, or the older
    ``Net(prototxt, weights, phase)``, which warns. ``prototxt`` may be a NetParameter as well.

    ``blobs`` are a dict of blobs by name, ``params`` one of lists of blobs by layer name; a blob has ``data``, ``diff``
    (numpy arrays, float32, writable, valid and current until the blob gets another shape), ``shape``, ``count``,
    ``num``, ``channels``, ``height``, ``width`` and ``reshape(*shape)``. ``layers`` are in order, each with ``type``
    and ``blobs``. ``inputs`` and ``outputs`` are lists of blob names.

    The net computes where the process's mode says (``set_mode_cpu``, ``set_mode_gpu``), and follows it when it changes.

    Raises:
        CaffeError: the definition or the weights are wrong, or an argument of a method is; one line.
    """

    def __init__(
        self,
        network_file: str | os.PathLike[str] | Any,
        phase: Any = None,
        level: int | None = None,
        stages: Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        source: str | os.PathLike[str] = "",
    ) -> None:
        if isinstance(phase, (str, os.PathLike)):
            if level is None:
                raise CaffeError(f"Net({str(network_file)!r}, {str(phase)!r}): the phase is missing, TRAIN or TEST")
            weights, phase, level = phase, level, None
            glog.warning("_caffe.cpp:139", "DEPRECATION WARNING - deprecated use of Python interface")
            glog.warning("_caffe.cpp:140", 'Use this instead (with the named "weights" parameter):')
            glog.warning("_caffe.cpp:142", f"Net('{network_file}', {phase}, weights='{weights}')")
        self._callbacks: dict[str, list[Callback]] = {"forward": [], "backward": []}
        self._callbacks_after: dict[str, list[Callback]] = {"forward": [], "backward": []}
        super().__init__(network_file, phase, level or 0, stages, weights, source)
        self._placed = "cpu"
        self._follow_mode()

    def _follow_mode(self) -> None:
        """Caffe's mode is the process's, so a change of it reaches nets that exist already."""
        if self._placed != mode.device():
            self._placed = mode.device()
            self.to(self._placed)

    # Names

    @cached_property
    def params(self) -> dict[str, list[ParamBlob]]:  # type: ignore[override]
        """Parameter blobs by layer name, of the layers that have some."""
        return {layer.name: layer.blobs for layer in self.layers if len(layer.params)}

    @cached_property
    def layer_dict(self) -> dict[str, Layer]:
        """The layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def top_names(self) -> dict[str, list[str]]:
        """The names of the tops by layer name."""
        return {wiring.layer.name: wiring.tops for wiring in self.wirings}

    @cached_property
    def bottom_names(self) -> dict[str, list[str]]:
        """The names of the bottoms by layer name; a blob with several readers has one name for each."""
        return {wiring.layer.name: wiring.bottoms for wiring in self.wirings}

    @cached_property
    def blob_loss_weights(self) -> dict[str, float]:
        """The weight in the loss by blob name, 0 for most."""
        return {name: self.loss_weight(name) for name in self._blobs}

    @cached_property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    @property
    def _blob_names(self) -> list[str]:
        return list(self._blobs)

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return self._ids(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._ids(self.outputs)

    def _top_ids(self, layer: int) -> list[int]:
        return self._ids(self.wirings[layer].tops)

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._ids(self.wirings[layer].bottoms)

    def _ids(self, names: Sequence[str]) -> list[int]:
        ids = {name: i for i, name in enumerate(self._blobs)}
        return [ids[name] for name in names]

    def _layer_id(self, name: str) -> int:
        if name not in self._layer_names:
            raise CaffeError(f"net {self.name!r} has no layer {name!r}; it has {', '.join(self._layer_names)}")
        return self._layer_names.index(name)

    # Running

    def forward(  # type: ignore[override]
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> Arrays:
        """Run the layers from ``start`` to ``end``, both by name and inclusive, on the blobs.

        Args:
            blobs: names of blobs to return besides the outputs.
            kwargs: new values for all of the net's inputs, by name; without any, inputs keep their values.

        Returns:
            The data of the outputs (with ``end``: of that layer's tops) and of ``blobs``, by name.
        """
        self._fill(kwargs, self.inputs, "data", "Input blob arguments do not match net inputs.")
        last = len(self.layers) - 1 if end is None else self._layer_id(end)
        self._check_blobs(blobs)
        self._forward(0 if start is None else self._layer_id(start), last)
        names = [*(self.outputs if end is None else self.wirings[last].tops), *(blobs or [])]
        return {name: self._blobs[name].data for name in names}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> Arrays:
        """Run the layers from ``start`` down to ``end``, both by name and inclusive, on the blobs' diffs.

        Args:
            diffs: names of blobs whose diffs to return besides those of the inputs.
            kwargs: the diffs of all of the net's outputs, by name; without any, they come from the losses.

        Returns:
            The diffs of the inputs (with ``end``: of that layer's bottoms) and of ``diffs``, by name.
        """
        self._fill(kwargs, self.outputs, "diff", "Top diff arguments do not match net outputs.")
        last = 0 if end is None else self._layer_id(end)
        self._check_blobs(diffs)
        self._backward(len(self.layers) - 1 if start is None else self._layer_id(start), last)
        names = [*(self.inputs if end is None else self.wirings[last].bottoms), *(diffs or [])]
        return {name: self._blobs[name].diff for name in names}

    def _fill(self, values: Mapping[str, np.ndarray], names: Sequence[str], side: str, mismatch: str) -> None:
        """Write arrays into blobs; nothing is written unless all of them fit."""
        if not values:
            return
        if set(values) != set(names):
            raise CaffeError(f"{mismatch} They are {', '.join(sorted(values))}; expected {', '.join(names) or 'none'}")
        what = "Input" if side == "data" else "Diff"
        for name, value in values.items():
            want = self._blobs[name].shape
            apart = f"{name!r} is {list(np.shape(value))}, expected {list(want)}"
            if np.shape(value)[:1] != want[:1]:
                raise CaffeError(f"{what} is not batch sized: {apart}")
            try:
                np.broadcast_to(value, want)
            except ValueError:
                raise CaffeError(f"{what} does not fit: {apart}") from None
        for name, value in values.items():
            getattr(self._blobs[name], side)[...] = value

    def _check_blobs(self, names: Sequence[str] | None) -> None:
        for name in names or []:
            if name not in self._blobs:
                raise CaffeError(f"net {self.name!r} has no blob {name!r}; it has {', '.join(self._blobs)}")

    def _forward(self, start: int, end: int) -> float:
        """Run layers by index, both inclusive; returns the weighted sum of their losses."""
        return float(self.forward_layers(start, end))

    def _backward(self, start: int, end: int) -> None:
        """Run layers by index down to ``end``."""
        self.backward_layers(start, end)

    def forward_all(self, blobs: Sequence[str] | None = None, **kwargs: np.ndarray) -> Arrays:
        """``forward`` for inputs of any number of items: in batches, the last one filled up with zeros.

        Returns the outputs and ``blobs`` for all items, as copies.
        """
        found: dict[str, list[np.ndarray]] = {}
        for batch in self._batch(kwargs):
            _collect(found, self.forward(blobs, **batch))
        return _joined(found, kwargs)

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **kwargs: np.ndarray
    ) -> tuple[Arrays, Arrays]:
        """``forward`` and ``backward`` in batches; ``kwargs`` are data of the inputs and diffs of the outputs.

        Returns what ``forward_all`` does, and the diffs of the inputs and of ``diffs`` for all items.
        """
        data: dict[str, list[np.ndarray]] = {}
        grad: dict[str, list[np.ndarray]] = {}
        forward = self._batch({name: kwargs[name] for name in self.inputs if name in kwargs})
        backward = self._batch({name: kwargs[name] for name in self.outputs if name in kwargs})
        none: dict[str, Any] = {}
        for inputs, outputs in zip_longest(forward, backward, fillvalue=none):
            _collect(data, self.forward(blobs, **inputs))
            _collect(grad, self.backward(diffs, **outputs))
        return _joined(data, kwargs), _joined(grad, kwargs)

    def _batch(self, arrays: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        """Cut arrays into batches of the size that the net's first blob has; zeros fill up the last one."""
        size = next(iter(self._blobs.values())).shape[0]
        for first in range(0, max(map(len, arrays.values()), default=0), size):
            batch = {name: np.asarray(array[first : first + size]) for name, array in arrays.items()}
            yield {
                name: np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)])
                if len(part) < size
                else part
                for name, part in batch.items()
            }

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Have the first layer, a MemoryData, deliver these float32 images and labels (``MemoryData.reset``)."""
        first = self.layers[0]
        if not isinstance(first, MemoryData):
            raise CaffeError(f"set_input_arrays: the first layer is of type {first.type}; expected MemoryData")
        first.reset(data, labels)

    # Callbacks, which see the index of each layer before or after it runs

    def before_forward(self, callback: Callback) -> None:
        """Call ``callback(layer_index)`` before each layer's forward."""
        self._callbacks["forward"].append(callback)

    def after_forward(self, callback: Callback) -> None:
        """Call ``callback(layer_index)`` after each layer's forward."""
        self._callbacks_after["forward"].append(callback)

    def before_backward(self, callback: Callback) -> None:
        """Call ``callback(layer_index)`` before each layer's backward."""
        self._callbacks["backward"].append(callback)

    def after_backward(self, callback: Callback) -> None:
        """Call ``callback(layer_index)`` after each layer's backward."""
        self._callbacks_after["backward"].append(callback)

    def forward_layers(self, start: int = 0, end: int | None = None) -> Tensor:
        """As in the core net, where the process's mode says, with callbacks."""
        self._follow_mode()
        before, after = self._callbacks["forward"], self._callbacks_after["forward"]
        if not before and not after:
            return super().forward_layers(start, end)
        loss = self._like.new_zeros(())
        for i in range(start, len(self.layers) if end is None else end + 1):
            for callback in before:
                callback(i)
            loss = loss + super().forward_layers(i, i)
            for callback in after:
                callback(i)
        return loss

    def backward_layers(self, start: int | None = None, end: int = 0) -> None:
        """As in the core net, where the process's mode says, with callbacks."""
        self._follow_mode()
        before, after = self._callbacks["backward"], self._callbacks_after["backward"]
        if not before and not after:
            return super().backward_layers(start, end)
        for i in range(len(self.layers) - 1 if start is None else start, end - 1, -1):
            for callback in before:
                callback(i)
            super().backward_layers(i, i)
            for callback in after:
                callback(i)

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters as a ``.caffemodel``, or as HDF5 if ``path`` ends in ``.h5``."""
        weight_files.save(self, path)

    def save_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters as HDF5, whatever the name."""
        weight_files.save(self, path, hdf5=True)

    def load_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Copy parameters by layer name from an HDF5 file, whatever its name."""
        weight_files.copy_from(self, path, hdf5=True)


def _collect(found: dict[str, list[np.ndarray]], arrays: Arrays) -> None:
    for name, array in arrays.items():
        found.setdefault(name, []).append(np.array(array, ndmin=1))


def _joined(found: dict[str, list[np.ndarray]], items: Mapping[str, np.ndarray]) -> Arrays:
    """One array from those of the batches, without what filled up the last batch."""
    count = max(map(len, items.values()), default=None)
    return {name: np.concatenate(arrays)[:count] for name, arrays in found.items()}
