"""Power's gradient by power_layer.cpp's formulas, which are not always the derivative; its numbers: test_golden.py."""

from __future__ import annotations

import numpy as np
import pytest

from .by_hand import backward, one_layer

NAN = np.nan


@pytest.mark.parametrize(
    ("fields", "x", "gradient"),
    [
        # power * top / bottom where there is no shift: 3 * 8 / 2, and 0 / 0 at 0
        ("power: 3", [2, 0], [12, NAN]),
        ("power: 0.5", [4, 0], [0.25, NAN]),
        # power 2 is a case of its own: 2 * scale * (scale * bottom + shift)
        ("power: 2 scale: 3", [2, 0], [36, 0]),
        ("power: 2 scale: 3 shift: 1", [2, 0], [42, 6]),
        # power * scale * top / (scale * bottom + shift): 3 * 2 * 27 / 3, and 0 / 0
        ("power: 3 scale: 2 shift: 1", [1, -0.5], [54, NAN]),
        ("power: 1 scale: 3 shift: 1", [1, 0], [3, 3]),
        # nothing depends on the bottom, also where 0 has no such power
        ("power: 0.5 scale: 0 shift: -1", [1, 0], [0, 0]),
        ("power: 0", [1, 0], [0, 0]),
    ],
)
def test_gradient(fields: str, x: list[float], gradient: list[float]) -> None:
    net = one_layer(f'type: "Power" bottom: "x" top: "y" power_param {{ {fields} }}', x=[x])
    backward(net, y=1)
    np.testing.assert_allclose(net.blobs["x"].diff, [gradient], rtol=1e-6)
