"""Which layers, bottoms and parameters get a gradient: decided once, when a net is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from caffe_compat import net_log
from caffe_compat.layers.base import Need, Shape

if TYPE_CHECKING:
    from caffe_compat.layers.base import Layer


@dataclass
class Wiring:
    """A layer's place in the net: names of its blobs, and what of it may need gradients."""

    layer: Layer
    bottoms: list[str]
    tops: list[str]
    shapes: list[Shape]  # of the bottoms that the layer has last said it can take
    loss_weights: list[float]
    reads_gradient: list[bool]  # per bottom: the blob has a gradient and ``propagate_down`` does not forbid it
    params: list[bool]  # per parameter: lr_mult is not 0
    needed: bool  # a bottom's blob has a gradient, or a parameter learns


def needs(wirings: list[Wiring], force_backward: bool) -> list[Need | None]:
    """What each layer's backward has to compute; None: it is not run at all.

    A gradient is computed only on a path from a loss down to something that learns, so frozen layers cost nothing
    (Net::Init in Caffe's net.cpp). ``force_backward`` overrides that for everything but labels.
    """
    under_loss: set[str] = set()  # blobs above which there is a loss
    not_needed: set[str] = set()  # blobs whose reader does not hand a gradient down
    result: list[Need | None] = []
    for wiring in reversed(wirings):
        contributes = any(wiring.loss_weights) or not under_loss.isdisjoint(wiring.tops)
        bottoms = list(wiring.reads_gradient)
        run = wiring.needed
        if run and wiring.tops and not_needed.issuperset(wiring.tops):
            run, bottoms = False, [False] * len(bottoms)
        if contributes:
            under_loss.update(wiring.bottoms)
        else:
            run, bottoms = False, [False] * len(bottoms)
        not_needed.update(name for name, flag in zip(wiring.bottoms, bottoms) if not flag)
        net_log.planned(wiring.layer, run)
        params = wiring.params
        if force_backward:
            run, params = True, [True] * len(params)
            bottoms = [flag or i not in wiring.layer.no_gradient for i, flag in enumerate(bottoms)]
        result.append(Need(tuple(bottoms), tuple(params)) if run else None)
    return result[::-1]
