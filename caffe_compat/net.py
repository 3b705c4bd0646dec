"""A net: NetParameter and NetState in, blobs and layers out, run forward and backward layer by layer."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from caffe_compat import autograd, net_log, precision, storage_plan
from caffe_compat.backward_plan import Wiring, needs
from caffe_compat.blob import Blob, ParamBlob, owner_of, settle
from caffe_compat.layers.base import Layer, Need
from caffe_compat.layers.registry import create_layer
from caffe_compat.learnable import LearnableParam, LearnableParams
from caffe_compat.proto import read_net
from caffe_compat.proto.filter import included, keep_layers
from caffe_compat.proto.text import layer_lines, read_text
from caffe_compat.splits import insert_splits

AUTOMATIC = "(automatic)"  # the name of a loss layer's top that the prototxt leaves out


class Net(nn.Module):
    """A Caffe net.

    Args:
        net: a prototxt (any version of the format) or a NetParameter (up to date, state included).
        phase: ``caffe_pb2.TRAIN`` or ``TEST``; None: what the NetParameter's state says.
        level, stages: the rest of the NetState that include and exclude rules look at.
        weights: a ``.caffemodel`` to copy parameters from, by layer name.
        source: the prototxt that a NetParameter was read from, for error messages.

    Two ways to run it. Caffe's: blobs hold values, ``forward_layers`` and ``backward_layers`` walk the layers, as
    solvers and pycaffe do. Torch's: ``net(data=tensor)`` gives the outputs joined to an autograd graph.

    Raises:
        CaffeError: the definition is wrong; one line with file, line and layer.
    """

    def __init__(
        self,
        net: str | os.PathLike[str] | Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        source: str | os.PathLike[str] = "",
    ) -> None:
        super().__init__()
        if isinstance(net, (str, os.PathLike)):
            source, net = net, read_net(os.fspath(net))
        self.source = os.fspath(source)
        param = type(net)()
        param.CopyFrom(net)
        if phase is not None:
            param.state.phase = phase
            param.state.level = level
            param.state.stage.extend(stages or [])
        self.phase: int = param.state.phase
        self.name: str = param.name
        places = _places(param, self.source)
        kept = included(param, param.state, places)
        left_out = [layer for i, layer in enumerate(param.layer) if i not in kept]
        param, places = keep_layers(param, kept), [places[i] for i in kept]
        log = net_log.ConstructionLog(param)
        self.param = insert_splits(param, places, left_out)
        self.debug_info: bool = self.param.debug_info  # log the mean absolute values of all that is computed
        self._like = torch.empty(0)
        self.precision = precision.active()
        self._blobs: dict[str, Blob] = {}
        self.inputs: list[str] = []
        self.wirings: list[Wiring] = []
        self._params = LearnableParams()
        unread: dict[str, None] = {}
        learning: set[str] = set()  # blobs with a gradient
        place_of = {layer.name: place for layer, place in zip(param.layer, places)}
        for layer_param in self.param.layer:
            where = f"{place_of.get(layer_param.name, '')}layer {layer_param.name!r}"
            self._append(layer_param, where, unread, learning, log)
        self.layers = cast("Sequence[Layer]", nn.ModuleList(wiring.layer for wiring in self.wirings))
        self.outputs = sorted(unread)
        self.needs: list[Need | None] = needs(self.wirings, self.param.force_backward)
        log.finished(self.outputs)
        for wiring in self.wirings:
            self._set_loss_diffs(wiring)
        self._graphs: list[Any] = [None] * len(self.layers)
        self._allow_in_place()
        if self.precision.bf16:
            storage_plan.plan(self.wirings)
        if weights is not None:
            self.copy_from(weights)

    # Construction

    def _append(
        self, param: Any, where: str, unread: dict[str, None], learning: set[str], log: net_log.ConstructionLog
    ) -> None:
        """Make one layer, its tops and its parameters."""
        if not param.HasField("phase"):
            param.phase = self.phase
        layer = create_layer(param, param.phase, where)
        bottoms, tops = list(param.bottom), list(param.top)
        if param.propagate_down and len(param.propagate_down) != len(bottoms):
            layer.fail(f"propagate_down has {len(param.propagate_down)} values; expected none or {len(bottoms)}")
        if layer.auto_tops:
            tops += [AUTOMATIC] * (layer.num_tops[0] - len(tops))
        _check_count(layer, "bottom", len(bottoms), layer.num_bottoms)
        _check_count(layer, "top", len(tops), layer.num_tops)
        log.connecting(layer, bottoms, tops)
        for name in bottoms:
            unread.pop(name, None)
        gradients = [name in learning for name in bottoms]
        learns = [spec.lr_mult != 0 for spec in param.param]  # as it stands: BatchNorm's set-up adds specs of its own
        shapes = [self._blobs[name].shape for name in bottoms]
        layer.setup(shapes)
        top_shapes, loss_weights = layer.reshape(shapes), self._loss_weights(layer, len(tops))
        for index, shape in enumerate(top_shapes):
            layer.check_shape(shape, f"top {tops[index]!r}")
            self._append_top(layer, index, tops[index], shape, unread)
        log.set_up(layer, top_shapes, loss_weights)
        self._params.add(layer)
        flags = learns + [True] * (len(layer.params) - len(learns))
        wiring = Wiring(
            layer,
            bottoms,
            tops,
            shapes,
            loss_weights,
            [flag if not param.propagate_down else param.propagate_down[i] for i, flag in enumerate(gradients)],
            flags,
            any(gradients) or any(flags),
        )
        if wiring.needed:
            learning.update(tops)
        self.wirings.append(wiring)

    def _append_top(self, layer: Layer, index: int, name: str, shape: tuple[int, ...], unread: dict[str, None]) -> None:
        bottoms = layer.param.bottom
        if name in bottoms:
            if name not in bottoms[index : index + 1]:
                layer.fail(f"in-place top {name!r} has to be the bottom of the same index")
            old = self._blobs[name].shape
            if shape != old and layer.type != "Python":
                layer.fail(f"in-place top {name!r} would be of shape {list(shape)}, but the bottom is of {list(old)}")
            self._blobs[name].reshape(*shape)
        elif name in self._blobs and name != AUTOMATIC:
            layer.fail(f"Top blob {name!r} produced by multiple sources.")
        else:
            self._blobs[name] = layer.make_top(index, shape)
            if layer.type == "Input":
                self.inputs.append(name)
        if name != AUTOMATIC:
            unread[name] = None

    def _loss_weights(self, layer: Layer, num_tops: int) -> list[float]:
        if layer.is_loss and not layer.param.loss_weight:
            layer.param.loss_weight.append(1)  # from then on it stands in the layer's definition, in a .caffemodel too
        weights = list(layer.param.loss_weight)
        if weights and len(weights) != num_tops:
            layer.fail(
                f"loss_weight must be unspecified or specified once per top blob; got {len(weights)}, {num_tops} tops"
            )
        return weights or [0.0] * num_tops

    def _set_loss_diffs(self, wiring: Wiring) -> None:
        """A loss starts the backward pass with its weight as gradient."""
        for name, weight in zip(wiring.tops, wiring.loss_weights):
            if weight:
                self._blobs[name].grad.fill_(weight)

    def _allow_in_place(self) -> None:
        """Let a layer overwrite its bottom where Caffe's own in-place layers lose nothing that is needed."""
        producers: dict[str, Layer] = {}
        for wiring in self.wirings:
            layer = wiring.layer
            if wiring.bottoms and wiring.tops[:1] == wiring.bottoms[:1]:
                producer = producers[wiring.bottoms[0]]
                layer.in_place = producer.has_backward() and not producer.keeps_top
            producers.update(dict.fromkeys(wiring.tops, layer))

    # Running

    @property
    def learnable(self) -> list[LearnableParam]:
        """The parameters, shared ones once, in the order of their owners."""
        return self._params.list

    @property
    def device(self) -> torch.device:
        return self._like.device

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Net:
        """Torch's hook behind ``to``, ``cuda`` and ``double``: blobs and layers follow the parameters."""
        super()._apply(fn, recurse)
        self._params.tie()
        self._like = fn(self._like)
        for blob in self._blobs.values():
            blob.to(self._like)
        for layer in self.layers:
            layer.device = self._like.device
        return self

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Torch's way: outputs by name, joined to the autograd graph; every input not given keeps its blob's value."""
        settle()
        values: dict[str, Tensor] = {name: self._blobs[name].tensor for name in self.inputs}
        values.update(inputs)
        self.precision.prepare(self.device)
        for wiring in self.wirings:
            if wiring.layer.type == "Input":
                continue
            in_place, wiring.layer.in_place = wiring.layer.in_place, False
            bottoms = [values[name] for name in wiring.bottoms]
            _check_shapes(wiring, bottoms)
            tops = self._stored(wiring.layer, autograd.apply(wiring.layer, bottoms))
            wiring.layer.in_place = in_place
            values.update(zip(wiring.tops, tops))
        return {name: values[name] for name in [*self.outputs, AUTOMATIC] if name in values}

    def forward_layers(self, start: int = 0, end: int | None = None) -> Tensor:
        """Run layers ``start`` to ``end`` (inclusive) on the blobs; returns the weighted sum of their losses."""
        settle()
        loss = self._like.new_zeros(())
        self.precision.prepare(self.device)
        for i in range(start, len(self.layers) if end is None else end + 1):
            wiring = self.wirings[i]
            for blob, top in zip(map(self._blobs.__getitem__, wiring.tops), self._run(i, wiring)):
                blob.tensor = top
            for name, weight in zip(wiring.tops, wiring.loss_weights):
                if weight:
                    if not self._blobs[name].has_diff:  # its size is another than in the last pass
                        self._blobs[name].grad.fill_(weight)
                    loss = loss + weight * self._blobs[name].tensor.sum()
            if self.debug_info:
                net_log.forward(self, wiring)
        return loss

    def _run(self, i: int, wiring: Wiring) -> Sequence[Tensor]:
        layer, need = wiring.layer, self.needs[i]
        bottoms = [self._blobs[name].tensor for name in wiring.bottoms]
        if layer.type == "Input":
            return []
        _check_shapes(wiring, bottoms)
        if need is not None and not layer.in_place:
            # What a user holds an array of is overwritten by an in-place top, but backward wants the old value.
            bottoms = [
                x.clone() if name in wiring.tops and self._blobs[name].held else x
                for name, x in zip(wiring.bottoms, bottoms)
            ]
        record = need is not None and not layer.has_backward()
        with torch.set_grad_enabled(record):
            if record and need is not None:
                bottoms = [x.detach().requires_grad_(flag) for x, flag in zip(bottoms, need.bottoms)]
            tops = layer(*bottoms)
        tops = (tops,) if isinstance(tops, Tensor) else tuple(tops)
        if record:
            self._graphs[i] = (bottoms, tops)
        if need is None:
            layer.saved = None
        return [top.detach() for top in self._stored(layer, tops)]

    def _stored(self, layer: Layer, tops: Sequence[Tensor]) -> Sequence[Tensor]:
        """A layer's tops in the dtypes that the net keeps them in."""
        if not self.precision.bf16:
            return tops
        return [top.to(torch.bfloat16 if narrow else self._like.dtype) for top, narrow in zip(tops, layer.narrow)]

    def backward_layers(self, start: int | None = None, end: int = 0) -> None:
        """Run backward from layer ``start`` (default: the last) down to ``end``.

        Takes the tops' diffs from the blobs, replaces the bottoms' diffs, adds to the parameters'.
        """
        settle()
        self.precision.prepare(self.device)
        for i in range(len(self.layers) - 1 if start is None else start, end - 1, -1):
            need, wiring = self.needs[i], self.wirings[i]
            if need is None or not (any(need.bottoms) or any(need.params)):
                continue
            diffs = [self._blobs[name].grad for name in wiring.tops]
            narrow = self.precision.bf16 and wiring.layer.takes_narrow
            if self.precision.bf16 and not narrow:
                diffs = [diff.to(self._like.dtype) for diff in diffs]
            backward = wiring.layer.backward if wiring.layer.has_backward() else self._autograd_backward(i)
            bottoms, params = backward(diffs, need)
            for name, flag, diff in zip(wiring.bottoms, need.bottoms, bottoms):
                if flag:
                    blob = self._blobs[name]
                    diff = self._like.new_zeros(blob.shape) if diff is None else diff
                    blob.grad = diff.to(torch.bfloat16) if narrow else diff
            for parameter, flag, diff in zip(wiring.layer.params, need.params, params):
                if flag and diff is not None:
                    self._accumulate(parameter, diff, diffs)
            if self.debug_info:
                net_log.backward(self, wiring, need)
        if self.debug_info and start is None and end == 0:
            net_log.all_params(self)

    def _autograd_backward(self, i: int) -> Callable[[Sequence[Tensor], Need], tuple[list, list]]:
        bottoms, tops = self._graphs[i]

        def backward(diffs: Sequence[Tensor], need: Need) -> tuple[list, list]:
            inputs = [x for x, flag in zip(bottoms, need.bottoms) if flag]
            inputs += [p for p, flag in zip(self.layers[i].params, need.params) if flag]
            outputs = [(top, diff) for top, diff in zip(tops, diffs) if top.requires_grad]
            found = iter(
                torch.autograd.grad(
                    [top for top, _ in outputs], inputs, [d for _, d in outputs], retain_graph=True, allow_unused=True
                )
                if outputs
                else [None] * len(inputs)
            )
            return [next(found) if f else None for f in need.bottoms], [next(found) if f else None for f in need.params]

        return backward

    def _accumulate(self, parameter: nn.Parameter, diff: Tensor, diffs: Sequence[Tensor]) -> None:
        owner = owner_of(parameter)
        diff = diff.reshape(owner.shape)
        if owner.grad is not None:
            if owner.grad.data_ptr() != diff.data_ptr():  # a Parameter layer's top is its parameter
                owner.grad.add_(diff)
        elif any(diff.data_ptr() == top.data_ptr() for top in diffs):
            owner.grad = diff.clone()  # a blob's diff will be overwritten
        else:
            owner.grad = diff

    def clear_param_diffs(self) -> None:
        """Set the parameters' diffs to zero, which a missing ``grad`` stands for."""
        settle()
        for learnable in self.learnable:
            learnable.parameter.grad = None

    def forward_backward(self) -> Tensor:
        """One pass each way; returns the loss, a scalar on the net's device."""
        loss = self.forward_layers()
        self.backward_layers()
        return loss

    def reshape(self) -> None:
        """Give every blob the shape that follows from the inputs' shapes, without computing anything."""
        for wiring in self.wirings:
            shapes = [self._blobs[name].shape for name in wiring.bottoms]
            if wiring.layer.type != "Input":
                for name, shape in zip(wiring.tops, wiring.layer.reshape(shapes)):
                    self._blobs[name].reshape(*shape)
            self._set_loss_diffs(wiring)

    # Blobs and weights

    @property
    def blobs(self) -> dict[str, Blob]:
        """All blobs by name, in the order in which the layers make them."""
        return self._blobs

    @property
    def output_blobs(self) -> dict[str, Blob]:
        return {name: self._blobs[name] for name in self.outputs}

    def loss_weight(self, name: str) -> float:
        """The loss weight of a blob, 0 if it is no loss."""
        return next(
            (w for wiring in self.wirings for top, w in zip(wiring.tops, wiring.loss_weights) if top == name), 0.0
        )

    @property
    def params(self) -> dict[str, list[ParamBlob]]:
        """Parameters by layer name, of the layers that have some."""
        return {layer.name: layer.blobs for layer in self.layers if len(layer.params)}

    def copy_from(self, weights: str | os.PathLike[str] | Any) -> None:
        """Copy parameters by layer name from a ``.caffemodel``, an ``.h5`` file or a NetParameter."""
        from caffe_compat import weights as files

        files.copy_from(self, weights)

    def to_proto(self, write_diff: bool = False) -> Any:
        """The net as Caffe writes it into a ``.caffemodel``."""
        from caffe_compat import weights as files

        return files.to_proto(self, write_diff)

    def share_with(self, other: Net) -> None:
        """Use the parameters of the layers of the same name in ``other``, without a copy."""
        settle()
        layers = {layer.name: layer for layer in reversed(self.layers)}  # of several of one name, the first
        for source in other.layers:
            layer = layers.get(source.name)
            if layer is None:
                net_log.ignoring(source)
                continue
            if [p.shape for p in layer.params] != [p.shape for p in source.params]:
                layer.fail("cannot share weights: number or shapes of the parameters differ")
            for mine, its in zip(layer.params, source.params):
                mine.data = its.data


def _places(net: Any, source: str) -> list[str]:
    """What an error in each layer of a NetParameter begins with: file and line, as far as they are known."""
    lines = {name: iter(found) for name, found in layer_lines(read_text(source)).items()} if source else {}
    found = [next(lines.get(layer.name, iter(())), None) for layer in net.layer]
    return [f"{source}:{line}: " if line else f"{source}: " if source else "" for line in found]


def _check_shapes(wiring: Wiring, bottoms: Sequence[Tensor]) -> None:
    """Have the layer fail for shapes that it cannot take; Caffe asks before every forward, we where they are new."""
    shapes = [tuple(x.shape) for x in bottoms]
    if shapes != wiring.shapes and wiring.layer.type != "Python":  # whose forward asks its user's code
        wiring.layer.reshape(shapes)
        wiring.shapes = shapes


def _check_count(layer: Layer, side: str, count: int, limits: tuple[int, int | None]) -> None:
    least, most = limits
    if count < least or (most is not None and count > most):
        expected = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        layer.fail(f"{layer.type} takes {expected} {side} blob(s), got {count}")
