"""Which layers of a definition are in the net: their include and exclude rules against the net's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe_compat import glog
from caffe_compat.errors import CaffeError


def filter_net(net: Any, state: Any) -> Any:
    """A copy of the NetParameter ``net`` with the layers that belong to the NetState ``state``."""
    return keep_layers(net, included(net, state))


def included(net: Any, state: Any, places: Sequence[str] = ()) -> list[int]:
    """Which layers of the NetParameter ``net`` belong to the NetState ``state``, by index.

    Raises CaffeError for a layer with rules of both kinds; it begins with the layer's one of ``places``.
    """
    return [i for i, layer in enumerate(net.layer) if _included(layer, state, places[i] if places else "")]


def keep_layers(net: Any, indices: Sequence[int]) -> Any:
    """A copy of the NetParameter ``net`` with these layers only."""
    kept = type(net)()
    kept.CopyFrom(net)
    del kept.layer[:]
    kept.layer.extend(net.layer[i] for i in indices)
    return kept


def _included(layer: Any, state: Any, place: str) -> bool:
    if layer.include and layer.exclude:
        raise CaffeError(f"{place}layer {layer.name!r}: specify either include rules or exclude rules; not both")
    if layer.include:
        return any(state_meets_rule(state, rule, layer.name) for rule in layer.include)
    return not any(state_meets_rule(state, rule, layer.name) for rule in layer.exclude)


def state_meets_rule(state: Any, rule: Any, layer_name: str) -> bool:
    """Whether the NetState meets every condition of the NetStateRule; the first one broken is logged, as in Caffe."""

    def broken(line: int, reason: str) -> bool:
        glog.info(f"net.cpp:{line}", f"The NetState {reason} specified by a rule in layer {layer_name}")
        return False

    if rule.HasField("phase") and rule.phase != state.phase:
        return broken(296, f"phase ({state.phase}) differed from the phase ({rule.phase})")
    if rule.HasField("min_level") and state.level < rule.min_level:
        # "above" is Caffe's own slip; log parsers may know it.
        return broken(306, f"level ({state.level}) is above the min_level ({rule.min_level})")
    if rule.HasField("max_level") and state.level > rule.max_level:
        return broken(316, f"level ({state.level}) is above the max_level ({rule.max_level})")
    for stage in rule.stage:
        if stage not in state.stage:
            return broken(332, f"did not contain stage '{stage}'")
    for stage in rule.not_stage:
        if stage in state.stage:
            return broken(347, f"contained a not_stage '{stage}'")
    return True
