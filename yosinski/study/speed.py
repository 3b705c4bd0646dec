"""How fast nets are trained, for the hours of a plan: as given, as this study goes, as measured here, as in 2014."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import fmean
from typing import Any

from caffe_compat.atomic import write_text
from yosinski.scales import SCALES, Scale
from yosinski.study.folder import Folder
from yosinski.study.status import read_status

K20 = 256 / 1.75  # img/s: an iteration of 256 images took the original authors' GPU 1.75 s
WARM_UP, ITERATIONS = {"cpu": 1, "cuda": 20}, {"cpu": 4, "cuda": 100}


@dataclass(frozen=True)
class Speed:
    """Images a second in training one net, or nets together, and where the number comes from."""

    images_per_second: float
    source: str


def find_speed(scale: Scale, given: float | None, folder: Folder) -> Speed | None:
    """The best known speed; None if nothing is known of nets of that scale."""
    if given is not None:
        return Speed(given, "as given")
    if folder.study.exists():
        study = folder.read()
        speeds = {net.name: net.images_per_second or 0.0 for net in read_status(folder, study)}
        groups = study.get("together", [[name] for name in speeds])
        seen = [sum(map(speeds.__getitem__, group)) for group in groups if all(map(speeds.__getitem__, group))]
        if seen:
            return Speed(fmean(seen), f"as in {folder.path}")
    measured = _measured().get(scale.title)
    if measured:
        return Speed(**measured)
    return Speed(K20, "as on the original authors' K20") if scale.definition == SCALES["full"].definition else None


def measure(scale: Scale, device: Any) -> Speed:
    """Train the scale's net for a few iterations on images of noise, from a database, and remember how fast that was.

    ``device``: a torch.device.
    """
    import torch

    from caffe_compat.layers.prefetching import PrefetchingLayer
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2, text
    from caffe_compat.solver import Solver
    from yosinski.study.plan import train_batch
    from yosinski.transplant import Sources, set_sources

    definition = text.parse(scale.definition, caffe_pb2.NetParameter, source=scale.title)
    with tempfile.TemporaryDirectory() as folder:
        set_sources(definition, Sources(f"{folder}/db", f"{folder}/db", f"{folder}/mean.binaryproto"))
        _write_noise(Path(folder), definition, train_batch(scale))
        param = text.parse(scale.solver, caffe_pb2.SolverParameter, source=scale.title)
        for name in ("net", "test_iter", "test_interval", "snapshot", "display"):
            param.ClearField(name)
        param.net_param.CopyFrom(definition)
        solver = Solver(param, net_class=Net, device=device)

        def step(iterations: int) -> float:
            began = time.perf_counter()
            solver.step(iterations)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return time.perf_counter() - began

        step(WARM_UP[device.type])
        seconds = step(ITERATIONS[device.type]) / ITERATIONS[device.type]
        for layer in solver.net.layers:
            if isinstance(layer, PrefetchingLayer):
                layer.close()
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    speed = Speed(train_batch(scale) / seconds, f"as measured on {where}, {date.today()}")
    known = {**_measured(), scale.title: asdict(speed)}
    write_text(_cache(), json.dumps(known, indent=1) + "\n")
    return speed


def _write_noise(folder: Path, definition: Any, images: int) -> None:
    """A database of ``images`` noisy pictures, of the size that the study's have, and a mean for them."""
    import numpy as np

    from caffe_compat.data.datum import serialize
    from caffe_compat.data.db import create_db
    from caffe_compat.data.mean import write_mean
    from caffe_compat.proto import caffe_pb2

    crop = next(layer.transform_param.crop_size for layer in definition.layer if layer.type == "Data")
    shape = (3, 256, 256) if crop > 28 else (1, 28, 28)
    random = np.random.default_rng(0)
    with create_db(folder / "db", "lmdb") as db:
        for i in range(images):
            pixels = random.integers(0, 256, shape, np.uint8)
            datum = caffe_pb2.Datum(channels=shape[0], height=shape[1], width=shape[2], data=pixels.tobytes())
            db.put(b"%08d" % i, serialize(datum))
    write_mean(folder / "mean.binaryproto", np.full(shape, 128, np.float32))


def _measured() -> dict[str, Any]:
    """Speeds by the title of the scale; empty if nothing was measured, or nothing that can be read."""
    try:
        found: dict[str, Any] = json.loads(_cache().read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return {}


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "yosinski", "speed.json")
