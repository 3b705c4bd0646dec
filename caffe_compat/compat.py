"""Caffe 1.0, or the Caffe of March to June 2014: each difference a switch, looked at where it acts.

Nets and solvers take the switches that are in force when they are built::

    with compat.use("2014"):
        solver = Solver("solver.prototxt")
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.libc_rand import LibcRand


@dataclass(frozen=True)
class Compat:
    """The switches; all off is Caffe 1.0.

    What each was like in 2014 stands behind it, with the file of BVLC Caffe v0.99 that did it.
    """

    lr_counts_from_1: bool = False  # the k-th update takes the rate of iteration k, not k - 1 (solver.cpp)
    no_test_at_0: bool = False  # the first test comes after test_interval updates (solver.cpp)
    snapshot_at_0: bool = False  # the study's authors wrote one before the first update (their solver.cpp)
    snapshot_names_2014: bool = False  # weights without the extension .caffemodel (solver.cpp)
    log_2014: bool = False  # rate before loss, labelled after the update; "Test score #0" (solver.cpp)
    crop_below_margin: bool = False  # random offsets 0 to size - crop - 1, so never the last one (data_layer.cpp)
    unseeded_rand: bool = False  # crop rows, columns, then mirror, from the C library's rand() (data_layer.cpp)
    random_first_test_batch: bool = False  # fetched while the nets are built, in TRAIN phase (data_layer.cpp)
    accuracy_of_two: bool = False  # the lowest class wins a tie; a second value, the mean log loss (loss_layer.cpp)
    pool_gradient_to_ties: bool = False  # every input equal to the window's maximum gets it (pooling_layer.cu)
    rand: LibcRand = field(default_factory=LibcRand, compare=False, repr=False)  # one process's unseeded rand()

    def __str__(self) -> str:
        """The words that ``parse`` makes these switches from."""
        on = [name for name in SWITCHES if getattr(self, name)]
        if len(on) > len(SWITCHES) / 2:
            return ",".join(["2014", *(f"-{name}" for name in SWITCHES if name not in on)])
        return ",".join(["1.0", *on])


SWITCHES = tuple(f.name for f in fields(Compat) if f.name != "rand")
CAFFE_1_0 = Compat()
_active: ContextVar[Compat] = ContextVar("compat", default=CAFFE_1_0)


def active() -> Compat:
    """The switches in force."""
    return _active.get()


def parse(words: str) -> Compat:
    """Switches from a version, ``1.0`` or ``2014``, and switches to turn on (or, with a minus, off) besides.

    ``1.0,crop_below_margin`` turns on a single one; ``2014,-log_2014`` leaves one out. CaffeError for unknown words.
    """
    version, *others = words.split(",")
    if version not in ("1.0", "2014"):
        raise CaffeError(f"compat: {version!r}, expected 1.0 or 2014, perhaps followed by ,SWITCH or ,-SWITCH")
    switches: dict[str, Any] = dict.fromkeys(SWITCHES, version == "2014")
    for word in others:
        name = word.removeprefix("-")
        if name not in SWITCHES:
            near = difflib.get_close_matches(name, SWITCHES, n=1, cutoff=0)
            raise CaffeError(f"compat: unknown switch {name!r}; did you mean {near[0]!r}? All: {', '.join(SWITCHES)}")
        switches[name] = not word.startswith("-")
    return Compat(**switches)


@contextmanager
def use(compat: str | Compat) -> Iterator[Compat]:
    """Put switches in force for nets and solvers built inside; the unseeded rand() begins anew."""
    chosen = parse(compat) if isinstance(compat, str) else compat
    chosen = replace(chosen, rand=LibcRand())
    token = _active.set(chosen)
    try:
        yield chosen
    finally:
        _active.reset(token)
