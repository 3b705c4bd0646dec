"""Whether memory stays flat while images are read, round and round."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from yosinski.bench.comparison import Comparison, Progress
from yosinski.bench.databases import write_noise
from yosinski.bench.records import open_reader, write_jpegs

RECORDS = 512  # in the database, which is read again and again
STEPS = 20  # looks at the memory
MB = 1e6


def measure(images: int = 100_000, batch: int = 256, progress: Progress | None = None) -> Iterator[Comparison]:
    """Memory of this process, without files mapped into it, while reading raw and then encoded images."""
    for kind, write in (
        ("raw", lambda path: write_noise(path, RECORDS)),
        ("encoded", lambda path: write_jpegs(path, RECORDS)),
    ):
        with TemporaryDirectory(prefix="yosinski-bench-") as folder:
            source = Path(folder, "lmdb")
            write(source)
            used = while_reading(source, images, batch, kind, progress)
        facts = {
            f"MB after {100 // STEPS} %": used[0],
            "MB at the end": used[-1],
            "most MB": max(used),
            "growth in MB": used[-1] - used[0],
        }
        yield Comparison(f"memory/{kind}", f"reading {images} {kind} images in batches of {batch}", {}, facts=facts)


def while_reading(
    source: Path, images: int, batch: int, what: str = "", progress: Progress | None = None
) -> list[float]:
    """Anonymous memory in MB after each of `STEPS` equal parts of the reading."""
    reader = open_reader(source, batch)
    used = []
    for step in range(STEPS):
        for _ in range(-(-images // (batch * STEPS))):
            reader.read()
        reader.wait()
        used.append(anonymous_bytes() / MB)
        if progress:
            progress(f"{what} images, memory", step + 1, STEPS)
    reader.close()
    return used


def anonymous_bytes() -> int:
    """Memory of this process that no file stands behind; only on Linux."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status has no RssAnon")
