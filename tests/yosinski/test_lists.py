"""List files, and what is made from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_compat.data.convert import Entry
from caffe_compat.errors import CaffeError
from yosinski.lists import (
    first_of_each_class,
    list_text,
    of_classes,
    published,
    published_name,
    read_images,
    write_list,
)

entries_of = st.lists(st.integers(0, 9)).map(
    lambda labels: [Entry(f"{i}.png", label) for i, label in enumerate(labels)]
)


@given(entries_of, st.sets(st.integers(0, 9)))
def test_halves_keep_the_order_and_number_classes_anew(entries: list[Entry], half: set[int]) -> None:
    classes = sorted(half)
    chosen = of_classes(entries, classes)
    assert [name for name, _ in chosen] == [name for name, label in entries if label in half]
    labels = dict(entries)
    assert all(classes[label] == labels[name] for name, label in chosen)


@given(entries_of, st.integers(0, 4))
def test_first_of_each_class(entries: list[Entry], count: int) -> None:
    chosen = first_of_each_class(entries, count)
    assert chosen == sorted(chosen, key=entries.index)
    for label in range(10):
        assert [e for e in chosen if e.label == label] == [e for e in entries if e.label == label][:count]


def test_written_as_read(tmp_path: Path) -> None:
    content = b"n01/a b.JPEG 0\nn02/\xff.JPEG 17\n"
    (tmp_path / "list").write_bytes(content)
    entries = read_images(tmp_path / "list")
    write_list(tmp_path / "copy", entries)
    assert (tmp_path / "copy").read_bytes() == list_text(entries) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 0\nb 1\n\na 1\n", "list:4: 'a' is also in line 1"),
        ("a 0\nb 3\n", "list:2: label 3; expected 0 to 2"),
        ("a -1\n", "list:1: label -1; expected 0 to 2"),
        ("\n", "no images in this list"),
        ("a\n", "list:1: expected a file name"),
    ],
)
def test_wrong_list(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "list").write_text(content)
    with pytest.raises(CaffeError, match=message):
        read_images(tmp_path / "list", 3)


def test_published_lists() -> None:
    """The first list, by its md5 sum, would be the 50,000 validation images; here it is enough that others are none."""
    assert len(published()) == 33 and len(set(published().values())) == 33
    assert published()["whole_valid"] == "b6284a7c08fba47457c2c1f6049a156e"
    assert published_name([]) == ("d41d8cd98f00b204e9800998ecf8427e", None)
