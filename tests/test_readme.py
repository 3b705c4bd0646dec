"""The README's commands, files and scripts, run from its own text in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(kind: str) -> list[str]:
    return [text for language, text in FENCE.findall(README) if language == kind]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Commands of the console blocks, with the lines that are shown under each."""
    for block in blocks("console"):
        for command in block.split("$ ")[1:]:
            first, *shown = command.splitlines()
            yield first, shown


def words(text: str) -> str:
    """Text without its numbers, blanks and versions."""
    return re.sub(r"[\d.]+(e-\d+)?", "#", " ".join(text.split()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the prototxts that the README shows."""
    folder = tmp_path_factory.mktemp("readme")
    for block in blocks("prototxt"):
        (folder / block.splitlines()[0].removeprefix("# ")).write_text(block)
    return folder


def test_commands_do_what_is_shown(folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ran = [(command, shown) for command, shown in commands() if not command.startswith("make")]
    assert len(ran) > 5
    for command, shown in ran:
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        output = words(done.stdout)
        for line in shown:
            if not line.startswith("agree:") or "not compared" not in done.stderr:
                assert words(line) in output, f"{command}: {done.stdout}"
    assert "layer {" in (folder / "new.prototxt").read_text()


def test_scripts_run(folder: Path) -> None:
    script = "\n".join(blocks("python"))
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(1, 4, 14, 14) (4, 3, 3, 3)\n"
    assert (folder / "softsign.onnx").is_file()


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"`make (\w+)`", README)) | {c.split()[1] for c, _ in commands() if c.startswith("make")}
    help_text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets and all(f"make {target} " in help_text for target in targets)


def test_every_command_is_in_the_table() -> None:
    from yosinski.cli.commands import COMMANDS

    table = "".join(line for line in README.splitlines() if line.startswith("| `"))
    for name in COMMANDS:
        assert re.search(rf"`{name}\b", table), name


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_what_pages_name_is_there(page: Path) -> None:
    """Links lead somewhere, and so do paths in backquotes that begin at the root."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for path in re.findall(r"`((?:caffe_compat|yosinski|tests|tools|docs|prototxt)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path
