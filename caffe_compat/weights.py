"""A net's parameters in files: ``.caffemodel`` (binaryproto of any age) and ``.caffemodel.h5``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from caffe_compat import glog
from caffe_compat.atomic import writing
from caffe_compat.blob import owner_of, settle
from caffe_compat.errors import CaffeError
from caffe_compat.hdf5_image import hdf5_image
from caffe_compat.proto import binary, raw_blobs

if TYPE_CHECKING:
    from caffe_compat.layers.base import Layer
    from caffe_compat.net import Net

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Caffe goes by the name, except for weights that it reads."""
    return os.fspath(path).endswith(".h5")


def _holds_hdf5(path: str | os.PathLike[str]) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    except OSError:
        return False  # whoever reads it says why


def copy_from(net: Net, source: str | os.PathLike[str] | Any, hdf5: bool | None = None) -> None:
    """Copy parameters by layer name; layers that only one side has are left as they are.

    Of several layers of one name in the net, the first counts. Diffs in a binary file are copied, too, as Caffe does.
    ``source``: a file, or a NetParameter. ``hdf5``: the format of a file; None: what its content says. Raises
    CaffeError if a layer of the same name has parameters of another number or shape, before anything is copied.
    """
    if isinstance(source, (str, os.PathLike)):
        hdf5 = _holds_hdf5(source) if hdf5 is None else hdf5
        found = _read_hdf5(net, source) if hdf5 else _read_binary(source)
        name = os.fspath(source)
    else:
        found, name = _blobs_by_layer(_as_raw(source)), "the NetParameter"
    settle()
    layers = {layer.name: layer for layer in reversed(net.layers)}
    todo = []
    for layer_name, blobs in found:
        if layer_name not in layers:
            glog.info("net.cpp:746", f"Ignoring source layer {layer_name}")
            continue
        layer = layers[layer_name]
        count = sum(blob is not None or _is_shared(net, layer, i) for i, blob in enumerate(blobs))
        if count != len(layer.params):
            layer.fail(f"{name} has {count} parameters for this layer, the net {len(layer.params)}")
        rows = enumerate(zip(layer.params, blobs, strict=True))
        todo += [(parameter, *_fitted(layer, i, blob, name)) for i, (parameter, blob) in rows if blob is not None]
    with torch.no_grad():
        for parameter, value, diff in todo:
            parameter.copy_(torch.tensor(value))
            if diff is not None:
                owner = owner_of(parameter)
                owner.grad = torch.tensor(diff, device=owner.device).reshape(owner.shape)


def save(net: Net, path: str | os.PathLike[str], diff: bool = False, hdf5: bool | None = None) -> None:
    """Write ``path`` whole or not at all. ``diff``: the gradients as well; ``hdf5``: the format; None: by the name."""
    settle()
    if is_hdf5(path) if hdf5 is None else hdf5:
        _write_hdf5(net, path, diff)
    else:
        binary.write(os.fspath(path), to_proto(net, diff))


def to_proto(net: Net, diff: bool = False) -> Any:
    """The net as a NetParameter with raw blobs: name, and each layer's definition and parameters."""
    settle()
    result = raw_blobs.message_class("NetParameter")(name=net.name)
    for layer in net.layers:
        message = result.layer.add()
        message.MergeFromString(layer.param.SerializeToString())
        del message.blobs[:]
        for parameter in layer.params:
            grad = _grad(parameter) if diff else None
            raw_blobs.from_array(message.blobs.add(), parameter.detach().cpu().numpy(), grad)
    return result


def _grad(parameter: torch.nn.Parameter) -> np.ndarray:
    grad = owner_of(parameter).grad
    return np.zeros(parameter.shape, np.float32) if grad is None else grad.cpu().numpy().reshape(parameter.shape)


def _as_raw(net_param: Any) -> Any:
    return raw_blobs.message_class("NetParameter").FromString(net_param.SerializeToString())


def _read_binary(path: str | os.PathLike[str]) -> list[tuple[str, list[Any]]]:
    found = _blobs_by_layer(binary.read(os.fspath(path), raw_blobs.message_class("NetParameter")))
    if not found:
        raise CaffeError(f"{os.fspath(path)}: no layers in it; expected a .caffemodel")
    return found


def _blobs_by_layer(net: Any) -> list[tuple[str, list[Any]]]:
    """Name and blobs of each layer, for all three versions of the format.

    Upgrading moves the blobs of V0 and V1 layers as they are, so there is no need to upgrade.
    """
    old = [(layer.layer if layer.HasField("layer") else layer) for layer in net.layers]
    return [(layer.name, list(layer.blobs)) for layer in [*net.layer, *old]]


def _fitted(layer: Layer, index: int, blob: Any, source: str) -> tuple[np.ndarray, np.ndarray | None]:
    """A blob's values, and diff if any, in the parameter's shape; old blobs have ones in front (``ShapeEquals``)."""
    want = tuple(layer.params[index].shape)
    diff = None
    if isinstance(blob, np.ndarray):
        shape, value = blob.shape, blob
    else:
        shape = raw_blobs.shape_of(blob)
        try:
            value = raw_blobs.to_array(blob)
            if blob.diff or blob.double_diff:
                diff = raw_blobs.to_array(blob, diff=True)
        except ValueError as error:
            raise CaffeError(f"{source}: layer {layer.name!r}, parameter {index}: {error}") from None
        if raw_blobs.is_legacy(blob) and shape == (1,) * (4 - len(want)) + want:
            shape = want
    if shape != want:
        layer.fail(
            f"cannot copy parameter {index} from {source}: its shape is {list(shape)}, the net's {list(want)}; "
            "to learn the layer from scratch instead, rename it"
        )
    return value.reshape(want), diff


def _is_shared(net: Net, layer: Layer, index: int) -> bool:
    """Whether a parameter of the layer is another's; HDF5 files hold it only once."""
    owned = any((p.layer, p.index) == (layer.name, index) for p in net.learnable)
    return index < len(layer.params) and not owned


def _read_hdf5(net: Net, path: str | os.PathLike[str]) -> list[tuple[str, list[Any]]]:
    """Groups ``data/LAYER`` with datasets ``0``, ``1`` …; None stands for those that the file leaves to their owner."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups = file["data"]
            # A name with a slash, as GoogLeNet's have, is a group within a group, and is found by its path only.
            others = set(groups) - {layer.name.partition("/")[0] for layer in net.layers}
            return [(name, []) for name in sorted(others)] + [
                (layer.name, _datasets(groups[layer.name], len(layer.params)))
                for layer in net.layers
                if layer.name in groups
            ]
    except (OSError, KeyError) as error:
        raise CaffeError(f"{os.fspath(path)}: not a .caffemodel.h5: {error}") from None


def _datasets(group: Any, wanted: int) -> list[np.ndarray | None]:
    """A layer's arrays, None for those that the net has and the file has not."""
    names = map(str, range(max(wanted, sum(name.isdigit() for name in group))))
    return [np.asarray(group[name], np.float32) if name in group else None for name in names]


def _write_hdf5(net: Net, path: str | os.PathLike[str], diff: bool) -> None:
    def fill(file: Any) -> None:
        for kind in ("data", "diff")[: 1 + diff]:
            group = file.create_group(kind)
            for layer in net.layers:
                datasets = group.create_group(layer.name)
                for i, parameter in enumerate(layer.params):
                    if kind == "diff":  # unlike data, for all that share a parameter
                        datasets.create_dataset(str(i), data=_grad(parameter))
                    elif not _is_shared(net, layer, i):
                        datasets.create_dataset(str(i), data=parameter.detach().cpu().numpy())

    with writing(path) as temporary:
        temporary.write_bytes(hdf5_image(fill))
