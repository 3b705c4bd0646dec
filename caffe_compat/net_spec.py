"""Nets written in Python: ``NetSpec``, with ``layers`` (L) and ``params`` (P).

    n = NetSpec()
    n.data, n.label = L.Data(source="train_lmdb", batch_size=64, ntop=2)
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.relu1 = L.ReLU(n.pool1, in_place=True)
    print(n.to_proto())

A top that is assigned to ``n`` gives its name to its blob and, if it is its layer's first, to the layer. Tops that are
assigned nowhere are named after their layer's type and numbered.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2


class Top:
    """One output of a layer: the ``n``-th top of the function ``fn``."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> Any:
        """The NetParameter with all that is needed to compute this top."""
        return to_proto(self)


class Function:
    """A layer to be: its type, the tops that it reads, and its fields by name.

    ``ntop``, the number of tops (1), and ``in_place`` are not fields; with the latter the tops are the bottoms.
    """

    def __init__(self, type_name: str, inputs: Iterable[Top], params: dict[str, Any]) -> None:
        self.type_name, self.inputs, self.params = type_name, tuple(inputs), dict(params)
        for i, top in enumerate(self.inputs):
            if not isinstance(top, Top):
                raise TypeError(f"{type_name} input {i} is not a Top (type is {type(top)})")
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))


class NetSpec:
    """Tops by name, as attributes or as items; ``to_proto()`` gives the net that computes them."""

    tops: dict[str, Top | Function]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name == "tops" or name not in self.tops:  # copy and pickle ask before __init__
            raise AttributeError(f"the NetSpec has no top {name!r}")
        return self.tops[name]

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    def __setitem__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getitem__(self, name: str) -> Any:
        return self.tops[name]

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def keys(self) -> list[str]:
        """The names."""
        return list(self.tops)

    def vals(self) -> list[Top | Function]:
        """The tops, and the functions without any."""
        return list(self.tops.values())

    def update(self, name: str, params: dict[str, Any]) -> None:
        """Change fields of the layer that makes the top ``name``."""
        value = self.tops[name]
        (value.fn if isinstance(value, Top) else value).params.update(params)

    def to_proto(self) -> Any:
        """The NetParameter. CaffeError for a field that does not exist or does not take its value."""
        for name, value in self.tops.items():
            if not isinstance(value, (Top, Function)):
                raise CaffeError(f"NetSpec: {name!r} is {value!r}; expected what a layer returns")
        return _to_proto(self.tops.values(), {value: name for name, value in self.tops.items()})


def to_proto(*tops: Top | Function) -> Any:
    """The NetParameter with all that is needed to compute the tops."""
    return _to_proto(tops, {})


def _to_proto(tops: Iterable[Top | Function], names: dict[Top | Function, str]) -> Any:
    """Write each layer behind those that it reads; ``names`` are those that are not to be made up."""
    counts: Counter[str] = Counter()
    layers: dict[Function, Any] = {}

    def name_of(item: Top | Function) -> str:
        if item not in names:
            if isinstance(item, Function) and item.tops:
                names[item] = name_of(item.tops[0])
            else:
                type_name = item.type_name if isinstance(item, Function) else item.fn.type_name
                counts[type_name] += 1
                names[item] = f"{type_name}{counts[type_name]}"
        return names[item]

    for top in tops:
        for function in _in_order(top.fn if isinstance(top, Top) else top, layers):
            bottoms = [layers[bottom.fn].top[bottom.n] for bottom in function.inputs]
            layer = caffe_pb2.LayerParameter(type=function.type_name, bottom=bottoms)
            layer.top.extend(bottoms if function.in_place else map(name_of, function.tops))
            layer.name = name_of(function)
            for name, value in function.params.items():
                _set_field(layer, name, value)
            layers[function] = layer
    return caffe_pb2.NetParameter(layer=layers.values())


def _in_order(last: Function, done: dict[Function, Any]) -> Iterator[Function]:
    """A function and those that it needs, inputs first, without those that are done (deep nets, so no recursion)."""
    stack = [last]
    while stack:
        missing = [top.fn for top in stack[-1].inputs if top.fn not in done]
        if missing:
            stack.append(missing[0])
            continue
        function = stack.pop()
        if function not in done:
            yield function


# The field of LayerParameter that belongs to a layer type is the one whose message is called after the type.
_PARAM_FIELDS = {
    field.message_type.name.removesuffix("Parameter"): field.name
    for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param")
}


def _set_field(layer: Any, name: str, value: Any) -> None:
    """A field of the layer type's own message if there is one of that name, otherwise one of the LayerParameter."""
    own = _PARAM_FIELDS.get(layer.type)
    inner = getattr(layer, own) if own else layer
    takes = name in inner.DESCRIPTOR.fields_by_name and not name.endswith("param")
    try:
        assign_proto(inner if takes else layer, name, value)
    except CaffeError as error:
        known = [*inner.DESCRIPTOR.fields_by_name, *layer.DESCRIPTOR.fields_by_name]
        near = [] if name in known else difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise CaffeError(f"layer {layer.name!r} (L.{layer.type}): {error}{hint}") from None


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Put a Python value into a message: a dict into a message field, a list or tuple into a repeated field.

    A repeated field takes a single value too, as a list of one. Raises CaffeError if there is no such field, or if it
    does not take the value.
    """
    if name not in proto.DESCRIPTOR.fields_by_name:
        raise CaffeError(f"{proto.DESCRIPTOR.name} has no field {name!r}")
    repeated = hasattr(getattr(proto, name), "extend")
    values = list(val) if isinstance(val, (list, tuple)) else [val]
    if not repeated and isinstance(val, (list, tuple)):
        raise CaffeError(f"{proto.DESCRIPTOR.name}.{name} takes one value, not {val!r}")
    for value in values:
        try:
            if isinstance(value, dict):
                message = getattr(proto, name).add() if repeated else getattr(proto, name)
                message.SetInParent()
                for key, inner in value.items():
                    assign_proto(message, key, inner)
            elif repeated:
                getattr(proto, name).append(value)
            else:
                setattr(proto, name, value)
        except (TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise CaffeError(f"{proto.DESCRIPTOR.name}.{name}: {value!r} does not fit: {reason}") from None


class Layers:
    """``L.TYPE(*bottoms, **fields)`` specifies a layer of any type; it returns its top, or its tops, or itself."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def specify(*bottoms: Top, **fields: Any) -> Any:
            function = Function(name, bottoms, fields)
            if not function.tops:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        return specify


class Parameters:
    """``P.TYPE.VALUE`` is a value of an enum in a layer type's message, such as ``P.Pooling.MAX``."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(caffe_pb2, f"{name}Parameter"):
            raise AttributeError(f"there is no message {name}Parameter")
        return getattr(caffe_pb2, f"{name}Parameter")


layers = Layers()
params = Parameters()
