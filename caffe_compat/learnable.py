"""A net's parameters as its solver sees them: one entry for each, however many layers share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from caffe_compat import net_log
from caffe_compat.blob import SharedParameter
from caffe_compat.layers.base import Layer
from caffe_compat.proto import caffe_pb2


@dataclass
class LearnableParam:
    """A parameter, its multipliers, and where it comes from."""

    parameter: nn.Parameter
    layer: str  # the owner
    index: int  # among the owner's parameters
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    specs: list[Any] = field(default_factory=list)  # ParamSpecs of owner and sharers


class LearnableParams:
    """Collects parameters layer by layer; a ParamSpec with a ``name`` that is known already shares that one."""

    def __init__(self) -> None:
        self.list: list[LearnableParam] = []
        self._named: dict[str, LearnableParam] = {}
        self._views: list[SharedParameter] = []  # those of another shape than their owner's

    def add(self, layer: Layer) -> None:
        """Take in a layer's parameters.

        Raises:
            CaffeError: more specs than parameters, or a shared parameter that does not fit its owner.
        """
        specs = list(layer.param.param)
        if len(specs) > len(layer.params):
            layer.fail(f"{len(specs)} param specs for {len(layer.params)} parameters")
        specs += [caffe_pb2.ParamSpec()] * (len(layer.params) - len(specs))
        for index, spec in enumerate(specs):
            if spec.name in self._named:
                self._share(layer, index, spec, self._named[spec.name])
                continue
            own = LearnableParam(layer.params[index], layer.name, index, spec.lr_mult, spec.decay_mult, [spec])
            self.list.append(own)
            if spec.name:
                self._named[spec.name] = own

    def tie(self) -> None:
        """Let views show their owners' memory again, which moving to another device has parted."""
        for view in self._views:
            view.data = view.owner.data.view(view.shape)

    def _share(self, layer: Layer, index: int, spec: Any, owner: LearnableParam) -> None:
        mine, theirs = layer.params[index], owner.parameter
        net_log.sharing(spec.name, owner)
        what = f"param {spec.name!r} is shared with layer {owner.layer!r}"
        if spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE:
            if mine.numel() != theirs.numel():
                layer.fail(f"{what}, but has {mine.numel()} values, the owner {theirs.numel()}")
        elif mine.shape != theirs.shape:
            layer.fail(f"{what}, but its shape is {list(mine.shape)}, the owner's {list(theirs.shape)}")
        for name in ("lr_mult", "decay_mult"):
            if spec.HasField(name):
                given = [getattr(other, name) for other in owner.specs if other.HasField(name)]
                if given and given[0] != getattr(spec, name):
                    layer.fail(f"{what}, but its {name} is {getattr(spec, name):g}, there {given[0]:g}")
                setattr(owner, name, getattr(spec, name))
        owner.specs.append(spec)
        if mine.shape == theirs.shape:
            layer.params[index] = theirs
        else:
            view = SharedParameter(theirs.data.view(mine.shape))
            view.owner = theirs
            layer.params[index] = view
            self._views.append(view)
