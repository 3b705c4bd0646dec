"""The halves A and B of a set of classes."""

from __future__ import annotations

import numpy as np


def random_half(num_classes: int, seed: int) -> tuple[list[int], list[int]]:
    """Split the class ids 0..num_classes-1 at random into halves A and B, each in ascending order.

    The stream is that of numpy's legacy generator seeded with a list of one number, as the study's script did
    (its option took a list); a plain number would give other halves. Of an odd number A gets the smaller part.
    """
    chosen = np.random.RandomState([seed]).choice(np.arange(num_classes), num_classes // 2, replace=False)
    half = set(chosen.tolist())
    return sorted(half), sorted(set(range(num_classes)) - half)
