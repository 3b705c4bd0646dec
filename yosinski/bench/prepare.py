"""From picture files to a database: `yosinski data prepare` on pictures made for the purpose."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from caffe_compat.cores import cores
from yosinski.bench.comparison import Comparison, Progress
from yosinski.bench.pictures import write_folders

HEIGHT, WIDTH = 375, 500  # pixels, the most frequent size in ImageNet
CLASSES = 20


def measure(images: int = 20_000, progress: Progress | None = None) -> Iterator[Comparison]:
    """Time, and processor time, of making list and LMDB of raw 256x256 images, written to the disk and verified."""
    from yosinski.dataset.prepare import Origin, prepare

    with TemporaryDirectory(prefix="yosinski-bench-", dir=Path.cwd()) as folder:
        write_folders(Path(folder, "train"), images, CLASSES, HEIGHT, WIDTH)
        os.sync()  # so that what was just written is not waited for
        began, busy = time.perf_counter(), time.process_time()
        prepare(
            Path(folder, "data"),
            Origin(train=Path(folder, "train")),
            order="caffe",
            progress=lambda part: partial(progress, "preparing") if progress else None,
        )
        took, busy = time.perf_counter() - began, time.process_time() - busy
    yield Comparison(
        "prepare/raw",
        f"{images} JPEGs of {WIDTH}x{HEIGHT} to an LMDB of raw 256x256 images, written and verified",
        {"data prepare": [took]},
        work=images,
        facts={"cores busy": busy / took, "cores": cores(), "CPU us an image": 1e6 * busy / images},
    )
