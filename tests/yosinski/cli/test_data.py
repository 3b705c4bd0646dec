"""`yosinski data prepare`, `split` and `subsets` as users type them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat.data.mean import compute_image_mean, read_mean
from yosinski.splits import split_classes

Run = Callable[..., Any]


@pytest.mark.parametrize("split", ["0", "3", "natman"])
def test_split(run: Run, tmp_path: Path, split: str) -> None:
    lines = [f"ILSVRC2012_val_{i:08d}.JPEG {i * 7 % 1000}" for i in range(1, 3001)]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    done = run("data", "split", tmp_path / "list.txt", "--split", split, "--out", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    for half, ids in zip("AB", split_classes(split)):
        wanted = [(name, int(label)) for name, label in map(str.split, lines) if int(label) in set(ids)]
        text = "".join(f"{name} {ids.index(label)}\n" for name, label in wanted)
        assert (tmp_path / "out" / f"{half}.txt").read_text() == text
        assert f"{half}.txt: {len(wanted)} images, {len(ids)} classes, md5 " in done.out
    assert done.out.count("none of the published lists") == 2


def test_split_of_a_list_without_some_classes(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a 0\nb 2\nc 5\n")
    done = run("data", "split", tmp_path / "list.txt", "--split", "0", "--out", tmp_path, "--classes", "6")
    assert done.code == 0 and "no images of 3 of 6 classes, such as 1; --classes tells another number" in done.err


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a 0\na 1\n", ["--split", "0"], "list.txt:2: 'a' is also in line 1"),
        ("a 1000\n", ["--split", "0"], "list.txt:1: label 1000; expected 0 to 999"),
        ("a 1\n", ["--split", "natman", "--classes", "10"], "split natman: 10 classes"),
    ],
)
def test_wrong_list(run: Run, tmp_path: Path, content: str, options: list[str], message: str) -> None:
    (tmp_path / "list.txt").write_text(content)
    done = run("data", "split", tmp_path / "list.txt", *options, "--out", tmp_path / "out")
    assert done.code == 1 and message in done.err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import cv2

    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(1)
    for part in ("train", "valid"):
        for c in range(4):
            (root / part / f"c{c}").mkdir(parents=True)
            for i in range(3):
                cv2.imwrite(
                    str(root / part / f"c{c}" / f"{part}{i}.jpg"), random.integers(0, 256, (20, 30, 3), np.uint8)
                )
    return root


def test_from_pictures_to_datasets(run: Run, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    prepare = ["data", "prepare", "--train", pictures / "train", "--valid", pictures / "valid", "--out", out]
    done = run(*prepare, "--size", "8x8", "--jobs", "2")
    assert done.code == 0
    assert f"{out}/train_lmdb: 12 records, 4 classes of 3 to 3, verified" in done.out
    assert re.search(r"^24 images in \d+\.\d s: \d+ img/s, \d\.\d\d of \d+ cores busy$", done.out, re.MULTILINE)
    assert "img/s" not in run(*prepare, "--size", "8x8").out, "nothing was left to do"
    done = run("data", "subsets", out, "half0A", "half0B", "reduced0002", "--materialise")
    assert done.code == 0
    files = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    assert [file for file in files if file.endswith(".index")] == [
        *("half0A_train.index", "half0A_valid.index", "half0B_train.index", "half0B_valid.index"),
        "reduced0002_train.index",
    ]
    assert {"half0A_valid_lmdb", "half0B_train_lmdb", "reduced0002_train_lmdb", "half0A_train.txt"} <= set(files)
    exact = {name: read_mean(out / name) for name in files if name.endswith("binaryproto")}
    assert set(exact) == {f"{name}mean.binaryproto" for name in ("", "half0A_", "half0B_", "reduced0002_")}
    assert run("data", "subsets", out, "half0A", "--as-caffe").code == 0
    caffe = read_mean(out / "half0A_mean.binaryproto")
    assert np.array_equal(caffe, compute_image_mean(out / "half0A_train_lmdb"))
    np.testing.assert_allclose(caffe, exact["half0A_mean.binaryproto"], rtol=1e-6)


def test_subsets_without_validation_images(run: Run, pictures: Path, tmp_path: Path) -> None:
    assert run("data", "prepare", "--train", pictures / "train", "--out", tmp_path, "--size", "8x8").code == 0
    done = run("data", "subsets", tmp_path, "half1B", "--no-means")
    assert done.out == f"{tmp_path}/half1B_train.index: list none of the published lists\n"
    assert not list(tmp_path.glob("*.binaryproto"))


def test_bad_pictures_are_told_of(run: Run, pictures: Path, tmp_path: Path) -> None:
    bad = pictures / "train" / "c1" / "bad.jpg"
    bad.write_bytes(b"none")
    try:
        done = run("data", "prepare", "--train", pictures / "train", "--out", tmp_path / "kept")
        assert "12 records, 1 left out, 4 classes of 3 to 3, verified" in done.out
        assert f"{tmp_path}/kept/train.bad.txt: images with something wrong" in done.out
        done = run("data", "prepare", "--train", pictures / "train", "--out", tmp_path / "none", "--on-error", "fail")
        assert done.code == 1 and "bad.jpg: picture 'c1/bad.jpg': unreadable" in done.err
    finally:
        bad.unlink()


def test_wrong_usage(run: Run, tmp_path: Path) -> None:
    assert run("data", "prepare", "--out", tmp_path).code == 2
    assert run("data", "split", tmp_path / "x", "--split", "half", "--out", tmp_path).code == 2
    done = run("data", "subsets", tmp_path)
    assert done.code == 1 and "train.txt: cannot read the list" in done.err
