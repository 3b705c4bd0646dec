"""From pictures to the whole's lists and databases, undisturbed and not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat.data.convert import convert_imageset
from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.errors import CaffeError
from yosinski.dataset import build
from yosinski.dataset.build import Recipe
from yosinski.dataset.prepare import Origin, prepare, read_summary
from yosinski.splits import database_order

Jpeg = Callable[..., bytes]
SIZE = (16, 16)
RECIPE = Recipe(SIZE)


def pairs(path: Path) -> list[tuple[bytes, bytes]]:
    with open_db(path) as db:
        return [(bytes(key), bytes(record)) for key, record in db.records()]


def converted(lines: list[str], root: Path, target: Path) -> list[tuple[bytes, bytes]]:
    """What convert_imageset makes of a list's lines in the order of 2014."""
    listfile = target.with_suffix(".txt")
    listfile.write_text("".join(lines[i] + "\n" for i in database_order(len(lines), "2014")))
    convert_imageset(root, listfile, target, resize=SIZE)
    return pairs(target)


def test_whole(train: Path, valid: Path, tmp_path: Path) -> None:
    synsets = sorted(path.name for path in train.iterdir())
    (tmp_path / "labels").write_text("".join(f"{synsets[i % 3]}\n" for i in range(6)))
    out = tmp_path / "out"
    done = prepare(out, Origin(train, valid, tmp_path / "labels"), RECIPE)
    for part, root in (("train", train), ("valid", valid)):
        lines = (out / f"{part}.txt").read_text().splitlines()
        assert pairs(out / f"{part}_lmdb") == converted(lines, root, tmp_path / f"theirs_{part}")
    assert (done["train"].images, done["train"].records, done["train"].per_class) == (12, 12, (4, 4))
    assert (done["valid"].records, done["valid"].classes, done["valid"].published) == (6, 3, None)
    assert (out / "synsets.txt").read_text().splitlines() == synsets
    names = sorted(path.name for path in out.iterdir())
    assert names == [".lock", "prepare.json", "synsets.txt", "train.txt", "train_lmdb", "valid.txt", "valid_lmdb"]
    again = prepare(out, Origin(train, valid, tmp_path / "labels"), RECIPE)
    assert again == done and again["train"].converted == 0, "finished work is left alone"


def test_parts_one_after_the_other(train: Path, valid: Path, tmp_path: Path) -> None:
    """Validation images prepared later get the classes of the training images."""
    out = tmp_path / "out"
    prepare(out, Origin(train), RECIPE)
    (tmp_path / "labels").write_text("n03791053\n" * 5 + "n09999999\n")
    with pytest.raises(CaffeError, match="no such class"):
        prepare(out, Origin(valid=valid, valid_labels=tmp_path / "labels"), RECIPE)
    (tmp_path / "labels").write_text("n03791053\nn02084071\nn01440764\n" * 2)
    done = prepare(out, Origin(valid=valid, valid_labels=tmp_path / "labels"), RECIPE)
    assert list(done) == ["valid"] and set(read_summary(out)) == {"train", "valid"}
    assert (out / "valid.txt").read_text().splitlines()[0] == "ILSVRC2012_val_00000001.JPEG 2"


def test_encoded_and_other_orders(train: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "out", Origin(train), Recipe(SIZE, "png"), order="list")
    raw = tmp_path / "raw"
    prepare(raw, Origin(train), RECIPE, order="caffe", seed=3)
    with open_db(tmp_path / "out" / "train_lmdb") as db, open_db(raw / "train_lmdb") as other:
        records = {bytes(key)[9:]: parse(record) for key, record in db.records()}
        assert all(datum.encoded for datum in records.values())
        assert list(records) == [line.split()[0].encode() for line in (raw / "train.txt").read_text().splitlines()]
        order = list(records)
        for place, (key, record) in zip(database_order(12, "caffe", 3), other.records()):
            assert bytes(key)[9:] == order[place]
            assert np.array_equal(parse(record).image(), records[bytes(key)[9:]].image())


@pytest.fixture
def damaged(train: Path, jpeg: Jpeg) -> Path:
    """Some pictures as they come in large collections."""
    folder = train / "n02084071"
    (folder / "n02084071_7.JPEG").write_bytes(b"no picture")
    (folder / "n02084071_8.JPEG").write_bytes(jpeg(3)[:-300])
    return train


def reasons(out: Path) -> list[str]:
    return sorted((out / "train.bad.txt").read_text().splitlines())


def test_bad_pictures_as_caffe_takes_them(damaged: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = prepare(out, Origin(damaged), RECIPE)["train"]
    assert (done.images, done.records, done.per_class) == (12, 11, (3, 4))
    assert done.skipped == ["n02084071/n02084071_7.JPEG"]
    assert reasons(out) == [
        "n02084071/n02084071_7.JPEG: unreadable, left out",
        "n02084071/n02084071_8.JPEG: truncated, kept",
    ]
    lines = (out / "train.txt").read_text().splitlines()
    assert len(lines) == 12, "the list is that of the pictures, not of the records"
    assert pairs(out / "train_lmdb") == converted(lines, damaged, tmp_path / "theirs")


def test_bad_pictures_strictly(damaged: Path, tmp_path: Path) -> None:
    done = prepare(tmp_path / "out", Origin(damaged), Recipe(SIZE, strict=True))["train"]
    assert (done.records, len(done.skipped)) == (10, 2)
    assert all(line.endswith(", left out") for line in reasons(tmp_path / "out"))


@pytest.mark.parametrize(("strict", "message"), [(False, "7.JPEG': unreadable"), (True, "[78].JPEG': (unread|trunc)")])
def test_bad_pictures_fatal(damaged: Path, tmp_path: Path, strict: bool, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        prepare(tmp_path / "out", Origin(damaged), Recipe(SIZE, on_error="fail", strict=strict))
    assert not (tmp_path / "out" / "train_lmdb").exists()


def test_truncated_picture_is_what_reading_its_file_gives(damaged: Path, tmp_path: Path) -> None:
    import cv2

    prepare(tmp_path / "out", Origin(damaged), RECIPE)
    read = cv2.imread(str(damaged / "n02084071" / "n02084071_8.JPEG"))
    with open_db(tmp_path / "out" / "train_lmdb") as db:
        records = {bytes(key)[9:]: parse(record).image().copy() for key, record in db.records()}
    assert np.array_equal(records[b"n02084071/n02084071_8.JPEG"], cv2.resize(read, SIZE).transpose(2, 0, 1))


def test_nothing_readable(train: Path, tmp_path: Path) -> None:
    for file in train.rglob("*.JPEG"):
        file.write_bytes(b"none")
    with pytest.raises(CaffeError, match="none of the 12 pictures could be read"):
        prepare(tmp_path / "out", Origin(train), RECIPE)


def test_missing_classes(train: Path, valid: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("n01440764\n" * 6)
    with pytest.raises(CaffeError, match="val: 2 of 3 classes have no images, such as 'n02084071'"):
        prepare(tmp_path / "out", Origin(train, valid, tmp_path / "labels"), RECIPE)
    (tmp_path / "list").write_text("n01440764/n01440764_7.JPEG 0\nn01440764/n01440764_8.JPEG 2\n")
    with pytest.raises(CaffeError, match="list: 1 of 3 classes have no images, such as 1"):
        prepare(tmp_path / "out", Origin(tmp_path / "list", root=train), RECIPE)
    assert not list((tmp_path / "out").glob("*.txt"))


def test_other_pictures_for_a_folder_in_use(train: Path, tmp_path: Path, jpeg: Jpeg) -> None:
    out = tmp_path / "out"
    prepare(out, Origin(train), RECIPE)
    with pytest.raises(CaffeError, match="train_lmdb: exists already"):
        prepare(out, Origin(train), Recipe((8, 8)))
    (train / "n01440764" / "n01440764_99.JPEG").write_bytes(jpeg(9))
    with pytest.raises(CaffeError, match=r"train\.txt: there already, of other images"):
        prepare(out, Origin(train), RECIPE)


def test_unfinished_work_of_another_recipe(train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(build, "verify", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(out, Origin(train), RECIPE)
    with pytest.raises(
        CaffeError, match=r"\.train_lmdb\.part: unfinished work on other pictures or with other options"
    ):
        prepare(out, Origin(train), Recipe((8, 8)))
    assert prepare(out, Origin(train), RECIPE)["train"].converted == 0, "all that was left was to verify"


def test_work_from_before_a_crash_of_the_machine(train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(build, "verify", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(out, Origin(train), RECIPE)
    monkeypatch.setattr(build, "_boot", lambda: "another start")
    assert prepare(out, Origin(train), RECIPE)["train"].converted == 12


def interrupt(*arguments: object) -> int:
    raise KeyboardInterrupt


def test_two_at_a_time(train: Path, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CaffeError, match="another process is preparing data here"):
            prepare(out, Origin(train), RECIPE)


def test_damaged_work_is_not_given_a_name(train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification compares names, labels and number with the list."""
    out = tmp_path / "out"
    real = build.verify
    for images, skipped, message in (
        (lambda images: images[:-1], set(), "expected no more"),
        (lambda images: images, {3}, "its label is"),
        (lambda images: [*images, images[0]], set(), "no record of"),
        (lambda images: [*images[:-1], images[-1]._replace(label=7)], set(), "; expected .* 7"),
    ):
        monkeypatch.setattr(build, "verify", lambda db, given, _, i=images, s=skipped: real(db, i(given), s))
        with pytest.raises(CaffeError, match=message):
            prepare(out, Origin(train), RECIPE)
        assert not (out / "train_lmdb").exists()
    monkeypatch.setattr(build, "verify", real)
    prepare(out, Origin(train), RECIPE)


MANY = 400
# Without a limit on its files it waits to be killed after 110 pictures, however late that is.
PROGRAM = """
import itertools, sys, time
from pathlib import Path
from yosinski.dataset import build
from yosinski.dataset.prepare import Origin, prepare
if len(sys.argv) > 3:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
build.BATCH = 10
pictures = itertools.count(1)

def progress(*count):
    if next(pictures) == 110 and len(sys.argv) == 3:
        time.sleep(3600)

prepare(Path(sys.argv[2]), Origin(Path(sys.argv[1])), build.Recipe((64, 64)), workers=1, progress=lambda part: progress)
"""


@pytest.fixture
def many(tmp_path: Path, jpeg: Jpeg) -> Path:
    content = jpeg(1, 300, 400)
    for i in range(MANY):
        (tmp_path / "many" / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "many" / f"class{i % 2}" / f"{i:03d}.jpg").write_bytes(content if i % 40 else b"none")
    return tmp_path / "many"


def start(*arguments: object) -> Any:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], stderr=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def test_killed_and_gone_on_with(many: Path, tmp_path: Path) -> None:
    """Three kills, each after some work; the result is that of an undisturbed run."""
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    sizes = []
    for _ in range(3):
        process = start(many, killed)
        data = killed / ".train_lmdb.part" / "db" / "data.mdb"
        before = sizes[-1] if sizes else 0
        while process.poll() is None and not (data.exists() and data.stat().st_size > before + 500_000):
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        sizes.append(data.stat().st_size)
    assert sizes == sorted(sizes) and sizes[0] > 0
    done = prepare(killed, Origin(many), Recipe((64, 64)))["train"]
    assert 0 < done.converted < MANY
    assert done == prepare(undisturbed, Origin(many), Recipe((64, 64)))["train"]
    assert len(done.skipped) == 10
    assert pairs(killed / "train_lmdb") == pairs(undisturbed / "train_lmdb")
    for file in ("train.txt", "train.bad.txt", "prepare.json"):
        assert (killed / file).read_bytes() == (undisturbed / file).read_bytes(), file
    assert not list(killed.glob(".train*"))


def test_disk_full(many: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk; when there is room again, the work goes on."""
    out = tmp_path / "out"
    process = start(many, out, 1_500_000)
    _, error = process.communicate()
    assert process.returncode == 1 and "train_lmdb: cannot write: " in error.splitlines()[-1]
    names = sorted(path.name for path in out.iterdir())
    assert names == [".lock", ".train_lmdb.part", "synsets.txt", "train.txt"]
    done = prepare(out, Origin(many), Recipe((64, 64)))["train"]
    assert 0 < done.converted < MANY
    assert len(pairs(out / "train_lmdb")) == done.records == MANY - 10


def test_summary_is_readable(train: Path, tmp_path: Path) -> None:
    prepare(tmp_path, Origin(train), RECIPE)
    assert json.loads((tmp_path / "prepare.json").read_text())["train"]["per_class"] == [4, 4]
    (tmp_path / "prepare.json").write_text("{")
    with pytest.raises(CaffeError, match=r"prepare\.json: damaged"):
        read_summary(tmp_path)


def test_unreadable_file(train: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (train / "n01440764" / "n01440764_7.JPEG").chmod(0)
    assert prepare(tmp_path / "out", Origin(train), RECIPE)["train"].records == 11
    assert reasons(tmp_path / "out") == ["n01440764/n01440764_7.JPEG: unreadable: Permission denied, left out"]
