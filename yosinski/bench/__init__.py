"""How fast this is, next to what the machine itself can do."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter


def median_seconds(run: Callable[[], object], rounds: int, warm_up: int = 1) -> float:
    """The median time of ``run`` over ``rounds``, after calls that do not count."""
    for _ in range(warm_up):
        run()
    return statistics.median(seconds(run) for _ in range(rounds))


def seconds(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began
