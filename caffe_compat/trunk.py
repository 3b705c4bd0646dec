"""The forward of frozen layers, computed once for several nets that train in turn in one process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from caffe_compat.backward_plan import Wiring
from caffe_compat.layers.base import Layer
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

# Layers whose tops follow from bottoms and parameters alone, in memory of their own unless they work in place.
COMPUTES = {"Convolution", "Deconvolution", "InnerProduct", "LRN", "Pooling", "ReLU"}
PASSES_ON = {"Dropout", "Split"}
# Of a LayerParameter: what does not matter for the values of the tops.
UNIMPORTANT = (
    "name",
    "bottom",
    "top",
    "param",
    "blobs",
    "include",
    "exclude",
    "loss_weight",
    "propagate_down",
    "phase",
)

Key = tuple[Any, ...]  # what a layer does, and the memory of its bottoms
Trunk = dict[Key, tuple[list[Tensor], Sequence[Tensor]]]  # bottoms, which have to stay where they are, and tops


class TrunkNet(Net):
    """A net that takes the tops of its lowest layers from ``trunk``, where another net has left them.

    These are the layers, from the data on upward, that do not learn, draw nothing at random and keep nothing for later.
    If one of another net does the same with the same weights, on a bottom in the same memory, its tops are this one's.
    Nobody overwrites them: what works in place above gets memory of its own here.
    """

    def __init__(self, net: Any, trunk: Trunk, source: str | os.PathLike[str] = "") -> None:
        super().__init__(net, source=source)
        self._trunk = trunk
        self._left: list[Key] = []  # what this net has put there in its last pass
        self._digests: dict[int, bytes] = {}
        self._learning: set[str] = set()
        self._plan()

    def _plan(self) -> None:
        """Find the layers that are shared, and let nobody overwrite what they give or get."""
        self._shared: set[int] = set()
        same: set[str] = set()  # blobs with values that are the same in other nets
        common: set[str] = set()  # blobs whose memory may be other nets', too
        for i, wiring in enumerate(self.wirings):
            layer = wiring.layer
            if not common.isdisjoint(wiring.bottoms):
                layer.in_place = False
            if self.needs[i] is None and same.issuperset(wiring.bottoms) and self._repeatable(wiring):
                self._shared.add(i)
            if i in self._shared or isinstance(layer, PrefetchingLayer):
                same.update(wiring.tops)
                common.update(wiring.tops)
            else:
                same.difference_update(wiring.tops)
                if layer.type in COMPUTES or common.isdisjoint(wiring.bottoms):
                    common.difference_update(wiring.tops)
                else:
                    common.update(wiring.tops)

    def _repeatable(self, wiring: Wiring) -> bool:
        layer = wiring.layer
        if layer.type not in COMPUTES | PASSES_ON or any(wiring.params) or layer.name in self._learning:
            return False
        if any(spec.name for spec in layer.param.param) or any(wiring.loss_weights):
            return False
        stochastic = layer.param.pooling_param.pool == caffe_pb2.PoolingParameter.STOCHASTIC
        return not stochastic and (layer.type != "Dropout" or layer.phase == caffe_pb2.TEST)

    def share_with(self, other: Net) -> None:
        """Use the parameters of ``other``; what learns there is not frozen here either."""
        super().share_with(other)
        learning = {wiring.layer.name for wiring in other.wirings if any(wiring.params)}
        if learning != self._learning:
            self._learning = learning
            self._plan()

    def _run(self, i: int, wiring: Wiring) -> Sequence[Tensor]:
        if i == 0:  # by now all others have had what this net left in its last pass
            for key in self._left:
                del self._trunk[key]
            self._left.clear()
        if i not in self._shared:
            return super()._run(i, wiring)
        bottoms = [self._blobs[name].tensor for name in wiring.bottoms]
        key = (self._digest(i), *((x.data_ptr(), x.dtype, x.shape, x.stride()) for x in bottoms))
        if key not in self._trunk:
            self._trunk[key] = bottoms, super()._run(i, wiring)
            self._left.append(key)
        return self._trunk[key][1]

    def _digest(self, i: int) -> bytes:
        """What a layer does: the same for layers that make the same of a bottom."""
        if i not in self._digests:
            self._digests[i] = _digest(self.wirings[i].layer)
        return self._digests[i]


def _digest(layer: Layer) -> bytes:
    param = type(layer.param)()
    param.CopyFrom(layer.param)
    for field in UNIMPORTANT:
        param.ClearField(field)
    settings = f"{layer.compat} {layer.precision} {layer.narrow}"
    digest = hashlib.sha256(param.SerializeToString(deterministic=True) + settings.encode())
    for parameter in layer.params:
        digest.update(parameter.detach().cpu().contiguous().numpy())
    return digest.digest()
