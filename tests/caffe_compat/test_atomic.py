"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.atomic import write_text, writing
from caffe_compat.errors import CaffeError


def test_a_file_and_its_folder_appear(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "x", "ü\n")
    assert (tmp_path / "new" / "x").read_bytes() == b"\xc3\xbc\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x"]
    assert (tmp_path / "new" / "x").stat().st_mode & 0o444 == 0o444  # unless the umask says otherwise


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "old")
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]


def test_a_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CaffeError, match="folder: cannot write: Is a directory"):
        write_text(tmp_path / "folder", "")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
