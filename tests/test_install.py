"""The wheel, installed where the checkout is not: the command works, and everything it reads came along."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("caffe_compat", "yosinski", "prototxt", "tools", "setup.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with nothing but our wheel in it; what it needs is borrowed from this one."""
    copy, wheels, env = (tmp_path_factory.mktemp(name) for name in ("copy", "wheels", "env"))
    ignore = shutil.ignore_patterns("__pycache__", "build")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, copy)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    command = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(copy)
    venv.create(env)
    python = env / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(*wheels.iterdir())], check=True)
    own = next(env.glob("lib/python*/site-packages"))
    (own / "borrowed.pth").write_text("\n".join(site.getsitepackages()) + "\n")  # its own .pth files do not count there
    return python.parent


def run(bin_folder: Path, cwd: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [bin_folder / program, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_nothing_comes_from_the_checkout(bin_folder: Path, tmp_path: Path) -> None:
    code = """if True:
        import caffe_compat, yosinski
        from yosinski.resources import onnx_check_dir, prototxt_dir
        from caffe_compat.proto import read_net
        print(caffe_compat.__file__, yosinski.__file__, onnx_check_dir(), prototxt_dir(), sep="\\n")
        assert (onnx_check_dir() / "CMakeLists.txt").is_file() and list(onnx_check_dir().rglob("*.cc"))
        assert len(read_net(prototxt_dir() / "mini" / "transfer_A3B.prototxt").layer) > 8"""
    done = run(bin_folder, tmp_path, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).is_relative_to(bin_folder.parent), line


@pytest.mark.parametrize("arguments", [["--version"], ["demo", "--help"], ["nets", "show", "transfer_A3B"]])
def test_commands_work(arguments: list[str], bin_folder: Path, tmp_path: Path) -> None:
    done = run(bin_folder, tmp_path, "yosinski", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_what_is_missing_is_said_in_a_line(bin_folder: Path, tmp_path: Path) -> None:
    done = run(bin_folder, tmp_path, "yosinski", "train", "prototxt/transfer_A3B.prototxt")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "needs data/B_train_lmdb and 2 more, not there; make it: yosinski data convert" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_demos_images_came_along(bin_folder: Path, tmp_path: Path) -> None:
    done = run(bin_folder, tmp_path, "yosinski", "data", "demo")
    assert (done.returncode, done.stdout) == (0, "data/mini: written\n"), done.stderr
    assert (tmp_path / "data" / "mini" / "B_mean.binaryproto").is_file()
