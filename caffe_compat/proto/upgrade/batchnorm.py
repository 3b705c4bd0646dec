"""The statistics of BatchNorm stopped being parameters that a solver could spoil (2016)."""

from __future__ import annotations

from typing import Any


def needs_batchnorm_upgrade(net: Any) -> bool:
    """Whether a BatchNorm layer declares its three blobs, as old definitions had to."""
    return any(_declares_statistics(layer) for layer in net.layer)


def upgrade_batchnorm(net: Any) -> None:
    """Set rate and decay of those blobs to 0, in place; whatever else they say stays."""
    for layer in filter(_declares_statistics, net.layer):
        for param in layer.param:
            param.lr_mult = param.decay_mult = 0


def _declares_statistics(layer: Any) -> bool:
    return bool(layer.type == "BatchNorm" and len(layer.param) == 3)
