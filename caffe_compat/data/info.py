"""What a database holds, at a glance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress

FIRST = 3  # keys shown


@dataclass
class Description:
    """Of a database: ``shapes`` and ``labels`` count records; a shape is (channels, height, width) of the pixels."""

    path: str
    backend: str
    bytes: int
    records: int = 0
    encoded: int = 0
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    first_keys: list[str] = field(default_factory=list)

    @property
    def label_range(self) -> tuple[int, int] | None:
        """Smallest and largest label; None without records."""
        return (min(self.labels), max(self.labels)) if self.labels else None


def describe(path: str | Path, progress: Progress | None = None) -> Description:
    """Read every record of a database, decoding the encoded ones. CaffeError, naming the key, for a broken one."""
    with open_db(path) as db:
        files = [Path(path)] if Path(path).is_file() else Path(path).iterdir()
        size = sum(file.stat().st_size for file in files)
        found = Description(db.path, db.backend, size)
        for key, record in db.records():
            try:
                datum = parse(record)
                found.shapes[datum.image().shape] += 1
            except CaffeError as error:
                raise db.error(key, error) from None
            found.labels[datum.label] += 1
            found.encoded += datum.encoded
            found.records += 1
            if len(found.first_keys) < FIRST:
                found.first_keys.append(bytes(key).decode(errors="backslashreplace"))
            if progress:
                progress(found.records, len(db))
        return found
