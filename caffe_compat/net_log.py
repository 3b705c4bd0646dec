"""What a net logs while it is built and, with ``debug_info``, while it runs: Caffe's lines, letter for letter.

Nothing is computed or put into words unless somebody listens.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from caffe_compat import glog
from caffe_compat.proto.text import format as format_text

if TYPE_CHECKING:
    from caffe_compat.backward_plan import Wiring
    from caffe_compat.layers.base import Layer, Need
    from caffe_compat.learnable import LearnableParam
    from caffe_compat.net import Net

VALUE_BYTES = 4  # Caffe counts memory in floats


class ConstructionLog:
    """The lines of Net::Init, in its order; a net that is built calls the methods as it goes."""

    def __init__(self, param: Any) -> None:
        """``param``: the NetParameter after filtering, before splits."""
        self._values = 0  # in all tops so far; in-place ones count again
        if glog.enabled():
            glog.info("net.cpp:53", f"Initializing net from parameters: \n{format_text(param).rstrip()}")

    def connecting(self, layer: Layer, bottoms: Sequence[str], tops: Sequence[str]) -> None:
        """A layer is made and gets its blobs."""
        glog.info("net.cpp:86", f"Creating Layer {layer.name}")
        for name in bottoms:
            glog.info("net.cpp:408", f"{layer.name} <- {name}")
        for i, name in enumerate(tops):
            if name in bottoms[i : i + 1]:
                glog.info("net.cpp:369", f"{layer.name} -> {name} (in-place)")
            else:
                glog.info("net.cpp:382", f"{layer.name} -> {name}")

    def set_up(self, layer: Layer, shapes: Sequence[Sequence[int]], loss_weights: Sequence[float]) -> None:
        """A layer is set up; ``shapes`` and ``loss_weights`` are those of its tops."""
        glog.info("net.cpp:124", f"Setting up {layer.name}")
        for shape, weight in zip(shapes, loss_weights):
            glog.info("net.cpp:131", f"Top shape: {''.join(f'{size} ' for size in shape)}({prod(shape)})")
            if weight:
                glog.info("net.cpp:134", f"    with loss weight {weight:g}")
            self._values += prod(shape)
        glog.info("net.cpp:139", f"Memory required for data: {self._values * VALUE_BYTES}")

    def finished(self, outputs: Sequence[str]) -> None:
        """The net is built."""
        for name in outputs:
            glog.info("net.cpp:244", f"This network produces output {name}")
        glog.info("net.cpp:257", "Network initialization done.")


def creating(name: str) -> None:
    """The factory makes a layer. Some layers have it make another one, of their own name, for a part of their work."""
    glog.info("layer_factory.hpp:77", f"Creating layer {name}")


def sharing(name: str, owner: LearnableParam) -> None:
    """A named parameter is that of an earlier layer."""
    whose = f"owned by layer '{owner.layer}', param index {owner.index}"
    glog.info("net.cpp:467", f"Sharing parameters '{name}' {whose}")


def ignoring(layer: Layer) -> None:
    """A layer of the train net whose weights the test net has no use for."""
    glog.info("net.cpp:678", f"Ignoring source layer {layer.name}")


def planned(layer: Layer, needed: bool) -> None:
    """Whether backward will run a layer, ``force_backward`` aside."""
    if needed:
        glog.info("net.cpp:200", f"{layer.name} needs backward computation.")
    else:
        glog.info("net.cpp:202", f"{layer.name} does not need backward computation.")


def forward(net: Net, wiring: Wiring) -> None:
    """The mean absolute values of a layer's tops and parameters, just computed."""
    if not glog.enabled():
        return
    layer, start = wiring.layer, f"    [Forward] Layer {wiring.layer.name}, "
    for name in wiring.tops:
        glog.info("net.cpp:593", f"{start}top blob {name} data: {_mean(net.blobs[name].tensor):g}")
    names = [spec.name for spec in layer.param.param]
    for i, parameter in enumerate(layer.params):
        name = "".join(names[i : i + 1]) or str(i)
        glog.info("net.cpp:605", f"{start}param blob {name} data: {_mean(parameter.data):g}")


def backward(net: Net, wiring: Wiring, need: Need) -> None:
    """The mean absolute diffs of a layer's bottoms and parameters, just computed."""
    if not glog.enabled():
        return
    start = f"    [Backward] Layer {wiring.layer.name}, "
    for name, flag in zip(wiring.bottoms, need.bottoms):
        if flag:
            glog.info("net.cpp:621", f"{start}bottom blob {name} diff: {_mean(net.blobs[name].grad):g}")
    for i, (blob, flag) in enumerate(zip(wiring.layer.blobs, need.params)):
        if flag:
            glog.info("net.cpp:632", f"{start}param blob {i} diff: {_mean(blob.grad):g}")


def all_params(net: Net) -> None:
    """The norms of all weights and of all their diffs, after a whole backward pass."""
    if not glog.enabled():
        return
    weights = [learnable.parameter.data for learnable in net.learnable]
    diffs = [learnable.parameter.grad for learnable in net.learnable if learnable.parameter.grad is not None]
    absolute = ", ".join(f"{sum(map(_absolute, blobs)):g}" for blobs in (weights, diffs))
    euclidean = ", ".join(f"{sqrt(sum(map(_squared, blobs))):g}" for blobs in (weights, diffs))
    glog.error(
        "net.cpp:721",
        f"    [Backward] All net params (data, diff): L1 norm = ({absolute}); L2 norm = ({euclidean})",
    )


def _mean(values: Tensor) -> float:
    """Of absolute values; nan for none, as in C."""
    with np.errstate(invalid="ignore"):
        return float(np.float32(_absolute(values)) / np.float32(values.numel()))


def _absolute(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values, 1))


def _squared(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2
