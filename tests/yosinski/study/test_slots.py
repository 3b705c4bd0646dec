"""GPUs are shared out one holder a slot."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from yosinski.study import slots


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slots.DEVICES, "cuda:0 cuda:1")
    monkeypatch.setenv(slots.PER_DEVICE, "2")
    monkeypatch.setattr(slots, "EVERY_S", 0.01)


def test_every_gpu_gets_one_before_any_gets_two(two_gpus: None, tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = [stack.enter_context(slots.device_slot(tmp_path)) for _ in range(4)]
        assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]


def test_the_next_one_waits(two_gpus: None, tmp_path: Path) -> None:
    got: list[str] = []

    def wait() -> None:
        with slots.device_slot(tmp_path) as device:
            got.append(device)

    with ExitStack() as others:
        for _ in range(3):
            others.enter_context(slots.device_slot(tmp_path))
        with slots.device_slot(tmp_path) as last:
            thread = threading.Thread(target=wait)
            thread.start()
            thread.join(0.1)
            assert (last, got) == ("cuda:1", [])
        thread.join(60)
    assert got == ["cuda:1"]


def test_a_killed_holder_holds_nothing(two_gpus: None, tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from yosinski.study.slots import device_slot\n"
        "with device_slot(Path(sys.argv[1])) as d: print(d, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "cuda:0\n"
        with slots.device_slot(tmp_path) as device:
            assert device == "cuda:1"
        holder.kill()
    with slots.device_slot(tmp_path) as device:
        assert device == "cuda:0"


@pytest.mark.parametrize("devices", ["auto", "cpu"])
def test_without_gpus_there_is_nothing_to_hold(devices: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slots.DEVICES, devices)
    with slots.device_slot(tmp_path / "never made") as one, slots.device_slot(tmp_path / "never made") as two:
        assert one == two == devices
    assert not (tmp_path / "never made").exists()
