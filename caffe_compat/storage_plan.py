"""Which blobs are stored in bfloat16, in the precision of that name: decided once, when a net is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caffe_compat.backward_plan import Wiring


def plan(wirings: list[Wiring]) -> None:
    """Set each layer's ``narrow``: which of its tops are stored in bfloat16.

    A top is, if its one reader loses nothing by it: a layer that multiplies, which rounds its bottoms anyway, or one
    that follows its bottoms' dtype and whose own tops are all stored so. Labels, the scores that a loss reads and the
    net's outputs so stay in float32.
    """
    read_narrow: dict[str, bool] = {}  # by the next reader of a blob of that name, going backward
    for wiring in reversed(wirings):
        layer = wiring.layer
        layer.narrow = tuple(read_narrow.pop(name, False) for name in wiring.tops)
        read_narrow.update(dict.fromkeys(wiring.bottoms, layer.takes_narrow))
