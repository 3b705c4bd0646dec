"""Labels of ImageNet's validation images, in the forms in which they are handed on."""

from __future__ import annotations

import csv
import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

from caffe_compat.errors import CaffeError
from yosinski.dataset.sources import Labels
from yosinski.lists import read_images

TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
SYNSET = re.compile(r"n\d{8}")


def read_labels(path: Path, classes: Sequence[str] | None) -> Labels:
    """Labels for pictures by their names, as ``find_images`` wants them.

    Args:
        path: the devkit (its folder, its .tar.gz, or the ground truth file with meta.mat beside it), Kaggle's csv of
            solutions, a list of synsets, one a line in the order of the pictures' names, or one of ``name label``.
        classes: the synsets in the order of their numbers; not needed for a list of ``name label``.
    """
    if path.is_dir() or path.name.endswith((".tar.gz", ".tgz")):
        truth, meta = _devkit(path)
        return _in_order(path, _synsets_by_number(truth.decode("ascii", "replace").split(), meta, path), classes)
    try:
        content = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise CaffeError(f"{path}: cannot read the labels: {error.strerror}") from None
    lines = content.split()
    if content.startswith("ImageId,"):
        return _kaggle(path, content, classes)
    if lines and all(SYNSET.fullmatch(line) for line in lines):
        return _in_order(path, lines, classes)
    if lines and all(line.isdecimal() for line in lines):
        meta_path = path.with_name(META)
        if not meta_path.is_file():
            raise CaffeError(f"{path}: numbers of the devkit, which need its {META} beside them")
        return _in_order(path, _synsets_by_number(lines, meta_path.read_bytes(), path), classes)
    return _by_name(path, dict(read_images(path)))


def _in_order(path: Path, synsets: list[str], classes: Sequence[str] | None) -> Labels:
    """One synset for each picture."""
    numbers = _numbers(path, synsets, classes)

    def labels(names: Sequence[str]) -> list[int]:
        if len(names) != len(numbers):
            raise CaffeError(f"{path}: {len(numbers)} labels for {len(names)} pictures")
        return numbers

    return labels


def _by_name(path: Path, known: dict[str, int]) -> Labels:
    def labels(names: Sequence[str]) -> list[int]:
        missing = [name for name in names if name not in known]
        if missing:
            raise CaffeError(f"{path}: no label for {missing[0]!r}; it misses {len(missing)} of {len(names)}")
        return [known[name] for name in names]

    return labels


def _kaggle(path: Path, content: str, classes: Sequence[str] | None) -> Labels:
    """Rows ``ILSVRC2012_val_00000001,n01751748 111 108 441 193 ...``: the synset of the first box is the image's."""
    rows = list(csv.DictReader(io.StringIO(content)))
    names = [f"{row['ImageId']}.JPEG" for row in rows]
    synsets = [(row.get("PredictionString") or "").partition(" ")[0] for row in rows]
    return _by_name(path, dict(zip(names, _numbers(path, synsets, classes))))


def _numbers(path: Path, synsets: Sequence[str], classes: Sequence[str] | None) -> list[int]:
    number = {name: n for n, name in enumerate(classes if classes is not None else sorted(set(synsets)))}
    for line, synset in enumerate(synsets, 1):
        if synset not in number:
            raise CaffeError(f"{path}: label {line}: synset {synset!r}; the training images have no such class")
    return [number[synset] for synset in synsets]


def _devkit(path: Path) -> tuple[bytes, bytes]:
    """The ground truth and meta.mat of a devkit's folder or archive."""
    if path.is_dir():
        found = {file.name: file for name in (TRUTH, META) for file in path.rglob(name)}
        contents = {name: file.read_bytes() for name, file in found.items()}
    else:
        try:
            with tarfile.open(path, "r:*") as tar:
                members = {Path(m.name).name: m for m in tar if Path(m.name).name in (TRUTH, META)}
                files = {name: tar.extractfile(member) for name, member in members.items()}
                contents = {name: file.read() for name, file in files.items() if file is not None}
        except (OSError, tarfile.TarError, EOFError) as error:
            raise CaffeError(f"{path}: cannot read the devkit: {error}") from None
    for name in (TRUTH, META):
        if name not in contents:
            raise CaffeError(f"{path}: not the devkit: no {name} in it")
    return contents[TRUTH], contents[META]


def _synsets_by_number(numbers: list[str], meta: bytes, path: Path) -> list[str]:
    """The synsets of the devkit's numbers, which are not in the order of the synsets."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise CaffeError(f"{path}: its {META} is read with scipy, which is not installed: pip install scipy") from None
    try:
        table = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        synset_of = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in table.flat if row["num_children"] == 0}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CaffeError(f"{path}: its {META} is damaged: {error}") from None
    unknown = [number for number in numbers if int(number) not in synset_of]
    if unknown:
        raise CaffeError(f"{path}: number {unknown[0]} is none of the {len(synset_of)} in {META}")
    return [synset_of[int(number)] for number in numbers]
