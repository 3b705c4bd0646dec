"""Runs on a GPU, or on a pretended one: together as alone, and from images held in its memory."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from ..caffe_compat.cuda.conftest import device, pretended_gpu
from . import test_together as runs
from .test_together import forwards, place

__all__ = ["device", "forwards", "place", "pretended_gpu"]


@pytest.fixture(autouse=True)
def on_the_gpu(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "CPU", device)


def test_frozen_layers_are_computed_once(forwards: Counter[str]) -> None:
    runs.test_frozen_layers_are_computed_once(forwards)


def test_resumed_from_different_places_they_find_together_again(forwards: Counter[str]) -> None:
    runs.test_resumed_from_different_places_they_find_together_again(forwards)


@pytest.mark.parametrize(
    "more", [{"hold": "host"}, {"hold": "device"}, {"graphs": True}, {"hold": "device", "graphs": True}]
)
def test_the_same_weights(more: dict[str, object]) -> None:
    paths = [runs.define("raw", seed=1), runs.define("png", seed=2, source="png")]
    assert runs.alone(paths, "otherwise", **more) == runs.alone(paths)
