"""From the definition of a net trained from scratch to those that take its lower layers over, frozen or learning on.

A net is cut by the list of its layers: layer 1 of the study is the first of them, with all that the definition puts
between it and the second, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2

# Types with weights, and the parameter whose bias_term says whether there are two blobs or one.
WITH_BIAS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
    "Embed": "embed_param",
    "Scale": "scale_param",
}
BLOBS = {"BatchNorm": 3, "PReLU": 1, "Bias": 1, "Parameter": 1, "RNN": 5, "LSTM": 3}


@dataclass(frozen=True)
class Sources:
    """The databases and the mean image of one net, as the prototxt names them."""

    train: str
    valid: str
    mean: str


def set_sources(net: Any, sources: Sources) -> None:
    """Let the Data layers of a NetParameter read these, in place. CaffeError for one that is not of a single phase."""
    by_phase = {caffe_pb2.TRAIN: sources.train, caffe_pb2.TEST: sources.valid}
    for layer in net.layer:
        if layer.type == "Data":
            if len(layer.include) != 1 or not layer.include[0].HasField("phase"):
                raise CaffeError(f"layer {layer.name!r}: expected one include rule, with the phase TRAIN or TEST")
            layer.data_param.source = by_phase[layer.include[0].phase]
            if not layer.transform_param.mean_value:
                layer.transform_param.mean_file = sources.mean


def freeze(net: Any, layers: Sequence[str], n: int) -> None:
    """Let layers 1 to ``n`` of a NetParameter learn nothing, in place: lr_mult and decay_mult 0 for all their blobs."""
    for number, layer in weighted(net, layers):
        if number <= n:
            del layer.param[:]
            layer.param.extend(caffe_pb2.ParamSpec(lr_mult=0, decay_mult=0) for _ in range(blobs(layer)))
            if layer.type == "BatchNorm":
                layer.batch_norm_param.use_global_stats = True  # its means would go on moving without any gradient


def renew(net: Any, layers: Sequence[str], n: int) -> None:
    """Add ``-new`` to the names of the layers above ``n``, and to tops of that name, in place.

    Copying weights by name then leaves these layers as their fillers set them.
    """
    new = {layer.name for number, layer in weighted(net, layers) if number > n}
    for layer in net.layer:
        for ends in (layer.top, layer.bottom):
            ends[:] = [f"{end}-new" if end in new else end for end in ends]
        if layer.name in new:
            layer.name += "-new"


def weighted(net: Any, layers: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Layers of a NetParameter that have weights, each with the number in ``layers`` of the one that it belongs to."""
    names = [layer.name for layer in net.layer]
    for name in layers:
        if names.count(name) != 1:
            raise CaffeError(f"layer {name!r}: expected once in the net {net.name!r}, found {names.count(name)} times")
    if sorted(layers, key=names.index) != list(layers):
        raise CaffeError(f"layers {', '.join(layers)}: expected in the order of the net {net.name!r}")
    number = 0
    for layer in net.layer:
        number += layer.name in layers
        if blobs(layer):
            yield max(number, 1), layer


def blobs(layer: Any) -> int:
    """How many blobs of weights a layer has by its LayerParameter."""
    count = BLOBS.get(layer.type, 0)
    if layer.type in WITH_BIAS:
        count = 1 + int(getattr(layer, WITH_BIAS[layer.type]).bias_term)
    if layer.type in ("Scale", "Bias"):
        count -= len(layer.bottom) == 2  # the factors, or summands, come from the second bottom
    if layer.type in ("RNN", "LSTM"):
        count += len(layer.bottom) == 3  # weights of the static input
    return count
