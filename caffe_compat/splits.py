"""Split layers, which Caffe puts between a top and its readers if there is more than one of them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf import text_format

from caffe_compat.errors import CaffeError

Top = tuple[int, int]  # index of the layer, index among its tops


def insert_splits(net: Any, places: Sequence[str] = (), left_out: Sequence[Any] = ()) -> Any:
    """A copy of a NetParameter in which every top has one reader at the most.

    ``left_out``: the LayerParameters that are not for the net's state, for the error's sake.

    A loss weight on a top counts as a reader. Names are Caffe's (util/insert_splits.cpp): the layer is
    ``BLOB_LAYER_INDEX_split``, its tops have ``_0``, ``_1`` … behind that.

    Raises:
        CaffeError: a bottom is no earlier layer's top; it begins with the layer's one of ``places``.
    """
    sources, readers, weights = _readers(net, places, left_out)
    result = type(net)()
    result.CopyFrom(net)
    del result.layer[:]
    used: Counter[Top] = Counter()

    def next_name(top: Top) -> str:
        used[top] += 1
        return f"{_split_name(net, top)}_{used[top] - 1}"

    for i, layer in enumerate(net.layer):
        copy = result.layer.add()
        copy.CopyFrom(layer)
        for j, top in enumerate(sources[i]):
            if readers[top] > 1:
                copy.bottom[j] = next_name(top)
        for j, blob in enumerate(layer.top):
            if readers[i, j] > 1:
                split = result.layer.add(name=_split_name(net, (i, j)), type="Split", bottom=[blob])
                split.top.extend(f"{split.name}_{k}" for k in range(readers[i, j]))
                if weights.get((i, j)):
                    # The first of the split's tops carries the loss; the layer itself is relieved of it.
                    copy.ClearField("loss_weight")
                    split.loss_weight.extend([weights[i, j]] + [0.0] * (readers[i, j] - 1))
                    used[i, j] += 1
    return result


def _split_name(net: Any, top: Top) -> str:
    layer = net.layer[top[0]]
    return f"{layer.top[top[1]]}_{layer.name}_{top[1]}_split"


def _readers(
    net: Any, places: Sequence[str], left_out: Sequence[Any]
) -> tuple[list[list[Top]], Counter[Top], dict[Top, float]]:
    """The top behind each bottom of each layer, how often each top is read, and the tops' loss weights."""
    newest: dict[str, Top] = {}  # in-place layers give a blob a new top
    sources: list[list[Top]] = []
    readers: Counter[Top] = Counter()
    weights: dict[Top, float] = {}
    for i, layer in enumerate(net.layer):
        sources.append([])
        for j, blob in enumerate(layer.bottom):
            if blob not in newest:
                place = places[i] if places else ""
                what = f"Unknown bottom blob {blob!r} (layer {layer.name!r}, bottom index {j})"
                raise CaffeError(f"{place}{what}{_hint(net, i, blob, newest, left_out)}")
            sources[i].append(newest[blob])
            readers[newest[blob]] += 1
        for j, blob in enumerate(layer.top):
            newest[blob] = (i, j)
        for j, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            weights[i, j] = weight
            readers[i, j] += weight != 0
    return sources, readers, weights


def _hint(net: Any, index: int, blob: str, known: Iterable[str], left_out: Sequence[Any]) -> str:
    """What may be wrong with a bottom of the layer of that index that no layer before it makes."""
    for i, layer in enumerate(net.layer[index:]):
        if blob in layer.top:
            return f"; layer {layer.name!r}, which makes it, comes later" if i else "; it is the layer's own top"
    for layer in left_out:
        if blob in layer.top:
            state = text_format.MessageToString(net.state, as_one_line=True)
            return f"; layer {layer.name!r}, which makes it, is not for this state: {state}"
    near = difflib.get_close_matches(blob, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
