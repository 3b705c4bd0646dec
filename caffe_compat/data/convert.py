"""convert_imageset: a list of picture files and labels becomes a database, record for record as Caffe writes it."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caffe_compat import glog, rng
from caffe_compat.cores import cores
from caffe_compat.data.datum import parse, serialize, serialize_raw
from caffe_compat.data.db import create_db
from caffe_compat.data.in_order import in_order
from caffe_compat.data.picture import COLOR, GRAY, Buffer, read_picture, resize
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from caffe_compat.proto import caffe_pb2


class Entry(NamedTuple):
    """A line of a list file: the picture's file name as written there, and its label."""

    name: str
    label: int


class Converted(NamedTuple):
    """How many pictures were written to the database, and how many could not be read."""

    records: int
    skipped: int


@dataclass(frozen=True)
class Conversion:
    """How a picture becomes a Datum.

    ``resize``: (height, width), or None to keep the size. ``encode_type``: the extension of the format to store, "" for
    raw pixels, None for that of the file itself.
    """

    gray: bool = False
    resize: tuple[int, int] | None = None
    encode_type: str | None = ""

    def record(self, path: str, label: int) -> Buffer | None:
        """The serialised Datum of a picture file; None if it cannot be read or is no picture."""
        try:
            content = Path(path).read_bytes()
        except OSError:
            return None
        return self.record_of(content, path, label)

    def record_of(self, content: bytes, path: str, label: int) -> Buffer | None:
        """The serialised Datum of a picture file's content; ``path`` is looked at for its extension only."""
        pixels = read_picture(content, GRAY if self.gray else COLOR)
        if pixels is None:
            return None
        kind = _extension(path) if self.encode_type is None else self.encode_type.lower()
        if (
            kind
            and self.resize is None
            and kind == _extension(path).replace("jpeg", "jpg" if kind == "jpg" else "jpeg")
        ):
            return serialize(caffe_pb2.Datum(data=content, label=label, encoded=True))
        if self.resize is not None:
            pixels = resize(pixels, *self.resize)
        if kind:
            return serialize(caffe_pb2.Datum(data=_encode(pixels.transpose(1, 2, 0), kind), label=label, encoded=True))
        return serialize_raw(pixels, label)


def read_list(path: str | Path) -> list[Entry | None]:
    """Entries of a list file, one for each line; None for an empty line.

    A line is split at its last blank, so that names may contain blanks. CaffeError for a line that is not
    ``name label``.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise CaffeError(f"{path}: cannot read the list: {error.strerror}") from None
    entries: list[Entry | None] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        name, _, label = line.rstrip("\r").rpartition(" ")
        if not line.strip():
            entries.append(None)
        elif name and re.fullmatch(r"[+-]?\d{1,10}", label) and -(2**31) <= int(label) < 2**31:
            entries.append(Entry(name, int(label)))
        else:
            raise CaffeError(f"{path}:{number}: expected a file name, a blank and a label (an integer), got {line!r}")
    return entries


def convert_imageset(
    root: str | Path,
    listfile: str | Path,
    target: str | Path,
    backend: str = "lmdb",
    *,
    shuffle: bool = False,
    gray: bool = False,
    resize: tuple[int, int] | None = None,
    encoded: bool = False,
    encode_type: str = "",
    check_size: bool = False,
    seed: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Write the pictures that ``listfile`` names, under the folder ``root``, to a new database ``target``.

    The arguments are the flags of Caffe's tool, except: ``resize`` is (height, width); ``seed`` makes the shuffling
    repeatable; ``workers`` is the number of threads. Keys number the lines of the (shuffled) list. A picture that
    cannot be read is logged and left out. CaffeError, and no database, for anything else that goes wrong.
    """
    if check_size and (encoded or encode_type):
        raise CaffeError("check_size: cannot be checked for encoded images, whose records hold no size")
    entries = read_list(listfile)
    if shuffle:
        glog.info("convert_imageset.cpp:83", "Shuffling data")
        (rng.main() if seed is None else rng.Rng(seed)).shuffle(entries)
    glog.info("convert_imageset.cpp:86", f"A total of {sum(entry is not None for entry in entries)} images.")
    if encode_type and not encoded:
        glog.info("convert_imageset.cpp:89", "encode_type specified, assuming encoded=true.")
    conversion = Conversion(gray, resize, encode_type or (None if encoded else ""))
    folder = os.path.join(root, "") if root else ""  # noqa: PTH118 - "" stands for no folder at all

    def convert(numbered: tuple[int, Entry]) -> tuple[str, Buffer | None]:
        line, entry = numbered
        return f"{line:08d}_{entry.name}", conversion.record(folder + entry.name, entry.label)

    numbered = [(line, entry) for line, entry in enumerate(entries) if entry is not None]
    written = skipped = 0
    size: int | None = None
    with ThreadPoolExecutor(workers or cores()) as pool, create_db(target, backend) as db:
        for (_, entry), (key, record) in zip(numbered, in_order(pool, convert, numbered)):
            if record is None:
                skipped += 1
                glog.error("io.cpp:80", f"Could not open or find file {folder}{entry.name}")
            else:
                values = len(parse(record).data)
                size = size or values
                if check_size and values != size:
                    raise CaffeError(f"{folder}{entry.name}: Incorrect data field size {values}; expected {size}")
                db.put(os.fsencode(key), record)
                written += 1
                if written % 1000 == 0:
                    glog.info("convert_imageset.cpp:144", f"Processed {written} files.")
            if progress:
                progress(written + skipped, len(numbered))
        if not written:
            raise CaffeError(f"{listfile}: none of its {skipped} pictures could be read under {root!r}")
    if written % 1000:
        glog.info("convert_imageset.cpp:150", f"Processed {written} files.")
    return Converted(written, skipped)


def _extension(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _encode(picture: np.ndarray, kind: str) -> bytes:
    import cv2

    try:
        return cv2.imencode(f".{kind}", picture)[1].tobytes()
    except cv2.error:
        raise CaffeError(f"encode_type {kind!r}: OpenCV cannot write this format") from None
