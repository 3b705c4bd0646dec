"""Batches a second, from readers in a steady state."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from yosinski.bench import data


def test_raw_images() -> None:
    made = data.raw(rounds=2, batch=4)
    assert made.work == 32 and {"ours", "plain torch, 0 workers"} <= set(made.samples)
    assert all(took > 0 for samples in made.samples.values() for took in samples)
    (ratio,) = made.ratios
    assert ratio.of.startswith("plain torch, ") and ratio.name == "plain torch / ours"


def test_what_was_read_ahead_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that had 8 batches ready, and takes 2 s for each other."""
    clock = 0.0
    monkeypatch.setattr(data, "perf_counter", lambda: clock)

    def reader() -> Iterator[None]:
        nonlocal clock
        for number in itertools.count():
            clock += 0.0 if number < data.AHEAD else 2.0
            yield

    assert data.steady(reader()).run() == 2.0 * data.BATCHES
