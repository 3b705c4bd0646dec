"""convert_imageset: keys, records and order byte for byte those of Caffe's tool."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat import glog
from caffe_compat.data.convert import Conversion, Converted, Entry, convert_imageset, read_list
from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.errors import CaffeError

DATA = Path(__file__).parents[2] / "golden" / "data"
DATABASES = json.loads((DATA / "databases.json").read_text())["databases"]


def flags(lines: list[str]) -> dict[str, Any]:
    given = dict(line.lstrip("-").partition("=")[::2] for line in lines)
    arguments: dict[str, Any] = {name: True for name in given if name in ("gray", "encoded", "shuffle", "check_size")}
    if "resize_height" in given:
        arguments["resize"] = (int(given["resize_height"]), int(given["resize_width"]))
    if "encode_type" in given:
        arguments["encode_type"] = given["encode_type"]
    return arguments


def pairs(path: Path) -> list[tuple[bytes, bytes]]:
    with open_db(path) as db:
        return [(bytes(key), bytes(record)) for key, record in db.records()]


@pytest.mark.parametrize("name", DATABASES)
def test_golden(tmp_path: Path, name: str) -> None:
    case = DATABASES[name]
    arguments = flags(case["flags"])
    listfile = DATA.parent / case["list"]
    if arguments.pop("shuffle", False):  # Caffe's order was unseeded; the keys tell it
        labels = {entry.name: entry.label for entry in read_list(listfile) if entry}
        names = [record["key"][9:] for record in case["records"]]
        listfile = tmp_path / "list.txt"
        listfile.write_text("".join(f"{name} {labels[name]}\n" for name in names))
    done = convert_imageset(DATA / "images", listfile, tmp_path / "db", case["backend"], workers=3, **arguments)
    assert done == Converted(len(pairs(DATA / name)), 0)
    assert pairs(tmp_path / "db") == pairs(DATA / name)
    for (key, value), record in zip(pairs(tmp_path / "db"), case.get("records", [])):
        datum = parse(value)
        assert key.decode() == record["key"]
        assert zlib.crc32(datum.data) == record["data_crc32"]
        assert (datum.channels, datum.height, datum.width) == (record["channels"], record["height"], record["width"])
        assert (datum.label, datum.encoded) == (record["label"], record["encoded"])


def test_shuffle_is_repeatable_and_numbers_the_new_order(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        convert_imageset(
            DATA / "images", DATA / "lists/all.txt", tmp_path / name, resize=(4, 4), shuffle=True, seed=seed
        )
    a, b, c = (pairs(tmp_path / name) for name in "abc")
    assert a == b != c
    assert [key[:8] for key, _ in a] == [b"%08d" % i for i in range(24)]
    plain = DATABASES["lmdb_32"]["records"]
    assert sorted(key[9:].decode() for key, _ in a) == sorted(record["key"][9:] for record in plain)


def test_unreadable_pictures_are_left_out_and_keep_their_number(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    shutil.copy(DATA / "images/camera_0.jpg", tmp_path)
    (tmp_path / "list.txt").write_text("none.jpg 1\nbad.jpg 2\n\nempty.jpg 3\r\ncamera_0.jpg 4\r\n")
    with (tmp_path / "log").open("w") as log:
        handler = glog.attach(log)
        counts: list[tuple[int, int]] = []
        done = convert_imageset(
            tmp_path, tmp_path / "list.txt", tmp_path / "db", progress=lambda *count: counts.append(count)
        )
        glog.detach(handler)
    assert done == Converted(1, 3)
    assert counts == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(key, parse(record).label) for key, record in pairs(tmp_path / "db")] == [(b"00000004_camera_0.jpg", 4)]
    lines = (tmp_path / "log").read_text().splitlines()
    errors = [line.split("] ")[1] for line in lines if line.startswith("E")]
    assert errors == [f"Could not open or find file {tmp_path}/{name}" for name in ("none.jpg", "bad.jpg", "empty.jpg")]


def test_list_is_split_at_the_last_blank(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes("a b.jpg 7\nç/\udcff.jpg -2\n".encode("utf-8", "surrogateescape"))
    assert read_list(tmp_path / "list") == [Entry("a b.jpg", 7), Entry("ç/\udcff.jpg", -2)]


@pytest.mark.parametrize(
    "line", ["a.jpg", "a.jpg ", "a.jpg\t3", "a.jpg x", "a.jpg 3.5", " 3", "a.jpg 2147483648", "a.jpg --1"]
)
def test_bad_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "list").write_text(f"ok.jpg 1\n{line}\n")
    with pytest.raises(CaffeError, match="list:2: expected a file name, a blank and a label") as caught:
        convert_imageset(tmp_path, tmp_path / "list", tmp_path / "db")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "db").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"check_size": True}, "Incorrect data field size"),
        ({"check_size": True, "encoded": True}, "check_size: cannot be checked for encoded images"),
        ({"encode_type": "nope"}, "encode_type 'nope': OpenCV cannot write this format"),
        ({"backend": "redis"}, "backend 'redis'"),
    ],
)
def test_errors_leave_nothing(tmp_path: Path, arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        convert_imageset(DATA / "images", DATA / "lists/all.txt", tmp_path / "db", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_nothing_readable(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="none of its 24 pictures could be read"):
        convert_imageset(tmp_path, DATA / "lists/all.txt", tmp_path / "db")
    with pytest.raises(CaffeError, match=r"none.txt: cannot read the list: No such file"):
        convert_imageset(tmp_path, tmp_path / "none.txt", tmp_path / "db")
    assert list(tmp_path.iterdir()) == []


def test_names_without_root(tmp_path: Path) -> None:
    path = DATA / "images/camera_0.jpg"
    (tmp_path / "list").write_text(f"{path} 5")
    convert_imageset("", tmp_path / "list", tmp_path / "db")
    assert pairs(tmp_path / "db")[0][0] == b"00000000_" + os.fsencode(path)


@pytest.mark.parametrize("progressive", [0, 1])
def test_truncated_jpeg_is_taken_as_far_as_it_goes(tmp_path: Path, progressive: int) -> None:
    """As cv::imread does, though cv::imdecode refuses such bytes."""
    import cv2

    picture = (np.arange(64 * 48 * 3) % 251).astype(np.uint8).reshape(64, 48, 3)
    whole = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    for size in (len(whole) - 1, len(whole) * 2 // 3):
        (tmp_path / f"{size}.jpg").write_bytes(whole[:size])
        record = Conversion().record(str(tmp_path / f"{size}.jpg"), 0)
        assert record is not None
        expected = cv2.imread(str(tmp_path / f"{size}.jpg")).transpose(2, 0, 1)
        assert parse(record).image().tobytes() == expected.tobytes()
    (tmp_path / "head.jpg").write_bytes(whole[:9])
    assert Conversion().record(str(tmp_path / "head.jpg"), 0) is None
