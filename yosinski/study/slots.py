"""GPUs shared out to processes of one machine: a slot is a file, and who has it locked has the GPU."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from yosinski.lock import try_lock

DEVICES, PER_DEVICE = "YOSINSKI_STUDY_DEVICES", "YOSINSKI_STUDY_SLOTS_PER_GPU"
EVERY_S = 0.5


def slot_folder() -> Path:
    """Where the slots of this machine are, the same for all studies of a user."""
    return Path(tempfile.gettempdir(), f"yosinski-slots-{os.getuid()}")


@contextmanager
def device_slot(folder: Path | None = None) -> Iterator[str]:
    """Hold a device out of those that ``DEVICES`` names, as cuda:0, with ``PER_DEVICE`` holders each; waits for one.

    "auto" where none are named: a cluster's scheduler has seen to that. The CPU is not held, since Snakemake counts its
    cores.
    """
    devices = os.environ.get(DEVICES, "auto").split()
    if not any(device.startswith("cuda") for device in devices):
        yield devices[0]
        return
    folder = folder or slot_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _free(folder, devices, int(os.environ.get(PER_DEVICE, "1"))) as device:
        yield device


@contextmanager
def _free(folder: Path, devices: Sequence[str], per_device: int) -> Iterator[str]:
    """The first slot that nobody has; those of all devices come before anyone's second."""
    while True:
        for number in range(per_device):
            for device in devices:
                with (folder / f"{device.replace(':', '-')}.{number}").open("a") as file:
                    if try_lock(file):
                        yield device
                        return
        time.sleep(EVERY_S)
