"""Every command line in tests/golden/logs, against the lines that the ``caffe`` tool printed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "logs/index.json").read_text())["cases"]}
TIMES = re.compile(r"(?<=\()\S+ iter/s, \S+s(?=/)|\S+(?= ms\.)")
BY_CHANCE = ("data_layer.cpp:73", "blocking_queue.cpp:49")  # logged by threads, or because a thread was late


def lines(log: str) -> list[str]:
    """The lines, less times and thread ids, with what may come at any moment, and stack traces, left out."""
    log = log.split("*** Check failure stack trace")[0]
    stripped = [re.sub(r"^([IWEF])\d{8} \d\d:\d\d:\d\d\.\d{6} +\d+ ", r"\1 ", line) for line in log.splitlines()]
    return [TIMES.sub("…", line) for line in stripped if not line[2:].startswith(BY_CHANCE)]


def same(got: str, want: str) -> bool:
    """Equal; a number may differ in the last of its six digits, since sums run in another order."""
    a, b = (re.split(r"([-+]?\d+\.?\d*(?:e[-+]\d+)?)", line) for line in (got, want))
    return a[::2] == b[::2] and all(
        math.isclose(float(x), float(y), rel_tol=2e-5, abs_tol=1e-9) for x, y in zip(a[1::2], b[1::2])
    )


@pytest.mark.parametrize("name", CASES)
def test_lines_and_exit_code_are_caffes(name: str, tree: Path, run: Callable[..., Result]) -> None:
    case = CASES[name]
    want = lines((GOLDEN / "logs" / case["file"]).read_text())
    result = run(*case["args"])
    got = lines(result.stderr)
    for mine, caffes in zip(got, want):
        assert same(mine, caffes) or (name == "time" and "Initial loss" in caffes), f"{mine!r}\n{caffes!r}"
    assert len(got) == len(want)
    assert result.exit_code == (2 if case["rc"] else 0)
