"""Where pictures are: folders of classes, tars, tars of tars, flat folders, or a list of files."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from caffe_compat.errors import CaffeError
from yosinski.lists import read_images

EXTENSIONS = (".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".pgm", ".pbm", ".tif", ".tiff", ".webp")
# ImageNet's validation images have these names in the study's lists, without folders, whatever they lie in.
VALIDATION = re.compile(r"(?:.*/)?(ILSVRC2012_val_\d{8}\.JPEG)")


class Image(NamedTuple):
    """A picture: its name and label in the list, and where its bytes are; without ``size`` in the whole file."""

    name: str
    label: int
    file: str
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """The bytes of the picture's file. OSError if they cannot be read."""
        with Path(self.file).open("rb") as file:
            if self.size is None:
                return file.read()
            file.seek(self.offset)
            return file.read(self.size)


class Place(NamedTuple):
    """A picture as it is found: the path below its source, and where its bytes are."""

    path: str
    file: str
    offset: int = 0
    size: int | None = None


# Label of each picture of a flat folder, by their paths in order.
Labels = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Found:
    """The pictures of a source in the order of the list, and the names of their classes, if they have any."""

    images: list[Image]
    classes: list[str] | None


def find_images(
    source: Path, labels: Labels | None = None, classes: list[str] | None = None, root: Path | None = None
) -> Found:
    """The pictures of a source, told apart by looking, sorted by class and name; those of a list in its order.

    Args:
        source: a folder of class folders or class tars, a tar of either, a flat folder or tar, or a list file.
        labels: of the pictures of a flat folder or tar.
        classes: names of the classes in the order of their numbers; None: they are numbered in the order of their
            sorted names.
        root: the folder that a list's names are in; None: that of the list.

    Raises:
        CaffeError: no pictures, a class without pictures or unknown in ``classes``, a name that is there twice, no
            labels for flat pictures, or something that cannot be read.
    """
    if source.is_file() and not tarfile.is_tarfile(source):
        folder = root or source.parent
        return Found([Image(name, label, str(folder / name)) for name, label in read_images(source)], None)
    try:
        places = list(_in_tar(source) if source.is_file() else _in_folder(source))
    except (OSError, tarfile.TarError) as error:
        raise CaffeError(f"{source}: cannot read: {getattr(error, 'strerror', None) or error}") from None
    if not places:
        raise CaffeError(f"{source}: no pictures ({', '.join(EXTENSIONS)})")
    flat = [place.path for place in places if "/" not in place.path]
    if flat and len(flat) < len(places):
        raise CaffeError(f"{source}: pictures beside folders of classes, such as {flat[0]}; expected one or the other")
    if flat:
        if labels is None:
            raise CaffeError(f"{source}: pictures without folders of classes need labels")
        places.sort()
        found = Found([Image(p.path, n, *p[1:]) for p, n in zip(places, labels([p.path for p in places]))], classes)
    else:
        found = _by_folder(source, places, classes)
    _refuse_duplicates(source, found.images)
    return found


def _by_folder(source: Path, places: list[Place], classes: list[str] | None) -> Found:
    names = sorted({place.path.partition("/")[0] for place in places})
    number = {name: n for n, name in enumerate(classes or names)}
    unknown = [name for name in names if name not in number]
    if unknown:
        raise CaffeError(f"{source}: class {unknown[0]!r}{_and_more(unknown)}; the training images have no such class")
    images = []
    for place in sorted(places):
        validation = VALIDATION.fullmatch(place.path)
        name = validation[1] if validation else place.path
        images.append(Image(name, number[place.path.partition("/")[0]], *place[1:]))
    if all("/" not in image.name for image in images):
        images.sort()  # ImageNet's validation images go by their numbers
    return Found(images, classes or names)


def _in_folder(folder: Path) -> Iterator[Place]:
    """The pictures below a folder; a class folder must have some."""
    if not folder.is_dir():
        raise CaffeError(f"{folder}: no such folder, tar or list")
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            files = [
                Path(where, name) for where, _, names in os.walk(entry, followlinks=True) for name in _pictures(names)
            ]
            _refuse_empty(entry, files)
            yield from (Place(file.relative_to(folder).as_posix(), str(file)) for file in files)
        elif entry.suffix == ".tar":
            with entry.open("rb") as file:
                yield from _class_tar(entry.stem, str(entry), file, 0)
        elif _pictures([entry.name]):
            yield Place(entry.name, str(entry))


def _in_tar(path: Path) -> Iterator[Place]:
    """The pictures in a tar, or in the class tars in it; the bytes are not read, only where they are."""
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            if member.isfile() and member.name.endswith(".tar"):
                inside = tar.extractfile(member)
                assert inside is not None
                with inside:
                    yield from _class_tar(Path(member.name).stem, str(path), inside, member.offset_data)
            elif member.isfile() and _pictures([member.name]):
                name = member.name.removeprefix("./")
                # A folder around everything, such as val/, is no class.
                yield Place(VALIDATION.sub(r"\1", name), str(path), member.offset_data, member.size)


def _class_tar(name: str, file: str, inside: IO[bytes], start: int) -> Iterator[Place]:
    """The pictures of a class's tar whose bytes begin at ``start`` of a file."""
    found = []
    with tarfile.open(fileobj=inside, mode="r:") as tar:
        for member in tar:
            if member.isfile() and _pictures([member.name]):
                path = f"{name}/{member.name.removeprefix('./')}"
                found.append(Place(path, file, start + member.offset_data, member.size))
    _refuse_empty(Path(file, name), found)
    yield from found


def _pictures(names: Iterable[str]) -> list[str]:
    """Those names that are pictures'; hidden files are none."""
    return [n for n in names if n.lower().endswith(EXTENSIONS) and not n.rpartition("/")[2].startswith(".")]


def _refuse_empty(folder: Path, files: Sequence[object]) -> None:
    if not files:
        raise CaffeError(f"{folder}: a class without pictures")


def _refuse_duplicates(source: Path, images: Iterable[Image]) -> None:
    seen: dict[str, Image] = {}
    for image in images:
        if image.name in seen:
            raise CaffeError(f"{source}: {image.name!r} is there twice: in {seen[image.name].file} and {image.file}")
        seen[image.name] = image


def _and_more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
