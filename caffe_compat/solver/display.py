"""The lines about a net's outputs, letter for letter as Caffe prints them, since log parsers match them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor


def scores(values: Mapping[str, Tensor]) -> Iterator[str]:
    """The lines of 2014: all numbers of all output blobs, counted through, e.g. ``Test score #1: 1.74482``."""
    numbers = [number for value in values.values() for number in value.detach().cpu().numpy().ravel()]
    for index, number in enumerate(numbers):
        yield f"Test score #{index}: {number:g}"


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
