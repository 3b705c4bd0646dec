"""Accuracy where there is nothing to count; its own numbers are in test_golden.py."""

from __future__ import annotations

import numpy as np

from .by_hand import one_layer


def test_all_labels_are_ignored() -> None:
    """The share of nothing is 0, of each class as well (accuracy_layer.cpp)."""
    layer = 'type: "Accuracy" bottom: "x" bottom: "label" top: "all" top: "each" accuracy_param { ignore_label: 1 }'
    net = one_layer(layer, "TEST", force=False, x=np.eye(2, 3), label=[1, 1])
    assert net.blobs["all"].data.tolist() == 0
    assert net.blobs["each"].data.tolist() == [0, 0, 0]
