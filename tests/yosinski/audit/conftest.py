"""Runs to audit: the packaged originals written out as logs again, and small runs of our own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yosinski.audit.rules import Rules, read_rules
from yosinski.original import find_net

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def rules() -> Rules:
    return read_rules()


@pytest.fixture
def as_log(tmp_path: Path) -> Write:
    """``as_log("half0A", upto=60000, top1=0.01)``: a run directory with an original's log, its numbers moved."""

    def write(name: str, upto: int = 450_000, top1: float = 0.0, loss: float = 0.0, era: str = "2014") -> Path:
        net = find_net(name)
        events: list[tuple[int, int, str]] = []
        for at, _batch, value, rate in net.losses().tolist():
            lines = [f"Iteration {at}, lr = {rate:g}", f"Iteration {at}, loss = {value + loss:g}"]
            events += [(at, i, line) for i, line in enumerate(lines if era == "2014" else lines[::-1])]
        for at, accuracy, score in net.tests().tolist():
            events.append((at, 2, f"Iteration {at}, Testing net"))
            events += [(at, 3 + i, f"Test score #{i}: {v:.6g}") for i, v in enumerate((accuracy + top1, score))]
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        with (folder / "train.log").open("w") as stream:
            for at, _, line in sorted(events):
                if at <= upto:
                    day, hour = divmod(at, 40_000)
                    stamp = f"{hour // 1800:02d}:{hour // 30 % 60:02d}:{hour % 30 * 2:02d}"
                    stream.write(f"I04{day + 1:02d} {stamp}.000000  1234 solver.cpp:1] {line}\n")
        return folder

    return write


@pytest.fixture
def noise() -> np.random.Generator:
    return np.random.default_rng(5)
