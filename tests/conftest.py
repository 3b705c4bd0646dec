"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The golden tree: cases measured with BVLC Caffe 1.0, one folder a group."""
    return GOLDEN


@pytest.fixture
def golden_root(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The golden tree as current directory, since the paths inside its prototxts are relative to it."""
    monkeypatch.chdir(GOLDEN)
    return GOLDEN
