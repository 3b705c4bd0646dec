"""The lines about a net's outputs, letter for letter as Caffe prints them, since log parsers match them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor


def outputs(net: Any, values: Mapping[str, Tensor], kind: str) -> Iterator[str]:
    """One line for each number of each output blob, e.g. ``    Test net output #1: loss = 0.5 (* 2 = 1 loss)``.

    Args:
        net: says the loss weights.
        values: output blobs by name, float32.
        kind: "Train" or "Test".
    """
    index = 0
    for name, blob in values.items():
        weight = np.float32(net.loss_weight(name))
        for value in blob.detach().cpu().numpy().ravel():
            weighted = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            yield f"    {kind} net output #{index}: {name} = {value:g}{weighted}"
            index += 1
