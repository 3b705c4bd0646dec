"""The halves A and B of a set of classes: random, or natural and man-made; and the order of their databases."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

import numpy as np

from caffe_compat.errors import CaffeError
from caffe_compat.libc_rand import LibcRand
from caffe_compat.rng import Rng

FACTS = Path(__file__).parent / "original"
IMAGENET = 1000  # classes
Order = Literal["2014", "caffe", "list"]


def split_classes(split: str, num_classes: int = IMAGENET) -> tuple[list[int], list[int]]:
    """The class ids of the halves A and B, each in ascending order.

    ``split``: ``natman``, or the seed of a random half. CaffeError for natman with other than ImageNet's classes.
    """
    if split != "natman":
        return random_half(num_classes, int(split))
    if num_classes != IMAGENET:
        raise CaffeError(f"split natman: {num_classes} classes; the {IMAGENET} of ImageNet are known as natural or not")
    return natural_manmade()


def random_half(num_classes: int, seed: int) -> tuple[list[int], list[int]]:
    """Split the class ids 0..num_classes-1 at random into halves A and B, each in ascending order.

    The stream is that of numpy's legacy generator seeded with a list of one number, as the study's script did
    (its option took a list); a plain number would give other halves. Of an odd number A gets the smaller part.
    """
    chosen = np.random.RandomState([seed]).choice(np.arange(num_classes), num_classes // 2, replace=False)
    half = set(chosen.tolist())
    return sorted(half), sorted(set(range(num_classes)) - half)


def natural_manmade() -> tuple[list[int], list[int]]:
    """ImageNet's class ids, in the order of sorted synsets: A, 449 of natural things, and B, 551 of man-made ones.

    The paper has the letters the other way round; the original files and logs are as here.
    """
    with (FACTS / "natural_manmade.csv").open(encoding="utf-8", newline="") as file:
        group = {int(row["class_index"]): row["group"] for row in csv.DictReader(file)}
    natural = sorted(index for index, name in group.items() if name == "natural")
    return natural, sorted(set(group) - set(natural))


def database_order(count: int, order: Order, seed: int = 0) -> list[int]:
    """The lines of a list of ``count``, from 0, in the order in which its database has them.

    ``2014``: as convert_imageset shuffled in the spring of 2014, with the C library's rand() that nothing seeded.
    ``caffe``: as Caffe 1.0's does with ``seed``; its own seed is a matter of chance. ``list``: not shuffled.
    """
    lines = list(range(count))
    if order == "2014":
        LibcRand().shuffle(lines)
    elif order == "caffe":
        Rng(seed).shuffle(lines)
    return lines
