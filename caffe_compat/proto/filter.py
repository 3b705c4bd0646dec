"""Which layers of a definition are in the net: their include and exclude rules against the net's state."""

from __future__ import annotations

from typing import Any

from caffe_compat import glog
from caffe_compat.errors import CaffeError


def filter_net(net: Any, state: Any) -> Any:
    """A copy of the NetParameter ``net`` with the layers that belong to the NetState ``state``.

    Raises CaffeError for a layer with rules of both kinds.
    """
    kept = type(net)()
    kept.CopyFrom(net)
    for index in reversed([i for i, layer in enumerate(net.layer) if not _included(layer, state)]):
        del kept.layer[index]
    return kept


def _included(layer: Any, state: Any) -> bool:
    if layer.include and layer.exclude:
        raise CaffeError(f'layer "{layer.name}": specify either include rules or exclude rules; not both')
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
