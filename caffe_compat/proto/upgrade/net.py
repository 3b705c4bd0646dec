"""All changes of a NetParameter, in Caffe's order."""

from __future__ import annotations

from typing import Any

from caffe_compat import glog
from caffe_compat.proto.upgrade.batchnorm import needs_batchnorm_upgrade, upgrade_batchnorm
from caffe_compat.proto.upgrade.data import needs_data_upgrade, upgrade_data_transformation
from caffe_compat.proto.upgrade.input import needs_input_upgrade, upgrade_input
from caffe_compat.proto.upgrade.v0 import needs_v0_upgrade, upgrade_v0_net
from caffe_compat.proto.upgrade.v1 import needs_v1_upgrade, upgrade_v1_net


def net_needs_upgrade(net: Any) -> bool:
    """Whether any part of the net is written in an older way."""
    checks = (needs_v0_upgrade, needs_v1_upgrade, needs_data_upgrade, needs_input_upgrade, needs_batchnorm_upgrade)
    return any(needed(net) for needed in checks)


def upgrade_net(net: Any, source: str) -> bool:
    """Upgrade the NetParameter in place; ``source`` names it in the log and in errors.

    Returns False if fields were dropped that have no place in the new form (the log says which). Raises CaffeError
    for what Caffe refuses: unknown V0 types, padding layers that cannot be merged, `layer` beside `layers`.
    """
    lossless = True
    if needs_v0_upgrade(net):
        _attempt(28, "input file specified using deprecated V0LayerParameter", source)
        lossless = upgrade_v0_net(net, source)
        if lossless:
            _succeed(36, "file specified using deprecated V0LayerParameter")
        else:
            glog.error(
                "upgrade_proto.cpp:33",
                "Warning: had one or more problems upgrading V0NetParameter to NetParameter (see above); "
                "continuing anyway.",
            )
        _note(
            39,
            "not support V0NetParameter; use ./build/tools/upgrade_net_proto_text for prototxt and "
            "./build/tools/upgrade_net_proto_binary for model weights upgrade this and any other net protos to the "
            "new format.",
        )
    if needs_data_upgrade(net):
        _attempt(46, "input file specified using deprecated transformation parameters", source)
        upgrade_data_transformation(net)
        _succeed(49, "file specified using deprecated data transformation parameters.")
        _note(51, "only support transform_param messages for transformation fields.")
    if needs_v1_upgrade(net):
        _attempt(55, "input file specified using deprecated V1LayerParameter", source)
        upgrade_v1_net(net, source)
        _succeed(63, "file specified using deprecated V1LayerParameter")
    if needs_input_upgrade(net):
        _attempt(69, "input file specified using deprecated input fields", source)
        upgrade_input(net, source)
        _succeed(72, "file specified using deprecated input fields.")
        _note(74, "only support input layers and not input fields.")
    if needs_batchnorm_upgrade(net):
        _attempt(79, "batch norm layers using deprecated params", source)
        upgrade_batchnorm(net)
        _succeed(82, "batch norm layers using deprecated params.")
    return lossless


def _attempt(line: int, what: str, source: str) -> None:
    glog.info(f"upgrade_proto.cpp:{line}", f"Attempting to upgrade {what}: {source}")


def _succeed(line: int, what: str) -> None:
    glog.info(f"upgrade_proto.cpp:{line}", f"Successfully upgraded {what}")


def _note(line: int, what: str) -> None:
    glog.warning(f"upgrade_proto.cpp:{line}", f"Note that future Caffe releases will {what}")
