"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from caffe_compat.cores import cores
from yosinski.provenance import git_commit, now, versions


def facts(device: Any) -> dict[str, Any]:
    """The machine, the software and the moment, for the file of a measurement. ``device``: a torch.device."""
    import torch

    found: dict[str, Any] = {
        "date": now(),
        "processor": processor(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "versions": versions(),
        "commit": git_commit(),
    }
    if device.type == "cuda":
        found["cuda"], found["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
    return found


def processor() -> str:
    """The name of the processor; where Linux does not tell, its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def headline(found: dict[str, Any]) -> str:
    """The facts that every reader wants, on one line."""
    where = found["device"] if found["device"] != "cpu" else f"{found['cores']} cores, {found['threads']} threads"
    return f"{found['processor']}: {where}; torch {found['torch']}; load {found['load']:.1f} at the start"
