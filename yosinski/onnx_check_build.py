"""Finds the C++ checker, or builds it on first use with what the machine has: see `find_or_build`.

The program is kept in the user's cache (``YOSINSKI_CACHE``, or ``yosinski`` in ``XDG_CACHE_HOME``), under a key made
of its sources and the ONNX Runtime that it was built with, so that an upgrade of either builds it anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from yosinski.resources import onnx_check_dir

HEADER = "onnxruntime_cxx_api.h"
HEADER_FOLDERS = ("", "include", "include/onnxruntime", "include/onnxruntime/core/session")
# Debian has ONNX Runtime from this release on. Any later runtime serves a program made with these headers.
HEADER_SUITES = ("trixie", "own")
CODECS = ["libjpeg62-turbo-dev", "libpng-dev", "zlib1g-dev"]
BUILD_SECONDS = 900
FETCH_SECONDS = 180


class OnnxCheckUnavailable(CaffeError):
    """The checker cannot be had here. The one line says what is missing, and what would provide it."""


@dataclass(frozen=True)
class Runtime:
    """ONNX Runtime for C++: the folder of its headers, and its shared library. They may be of different releases."""

    headers: Path
    library: Path


def find_or_build(sanitize: bool = False) -> Path:
    """The path of the checker's program, built now if this is the first time.

    A build needs a C++ compiler and CMake. ONNX Runtime comes from ``ONNXRUNTIME_ROOT``, from the system, or as the
    library inside the `onnxruntime` wheel with headers from Debian's archive; LMDB from the system or from there too.
    Nothing is installed and no root is needed. `sanitize` builds with the address and undefined-behaviour sanitizers
    and with warnings as errors, for the tests.

    Raises `OnnxCheckUnavailable`, naming what is missing.
    """
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache):
            runtime = find_runtime(cache)
            program = cache / _key(runtime, sanitize) / "onnx_check"
            if not program.is_file():
                _build(runtime, cache, program, sanitize)
    except OSError as error:
        raise OnnxCheckUnavailable(f"the C++ checker cannot be built in {cache}: {error}") from None
    return program


def cache_dir() -> Path:
    """The folder for what is built and fetched. It may be removed at any time."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "yosinski"
    return Path(os.environ.get("YOSINSKI_CACHE") or default).expanduser().absolute() / "onnx_check"


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Lets one process at a time build."""
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_runtime(cache: Path) -> Runtime:
    """ONNX Runtime for C++, its headers fetched into `cache` if the machine has none."""
    root = os.environ.get("ONNXRUNTIME_ROOT")
    if root:
        headers, library = _headers_in(Path(root)), _library_in(Path(root))
        if headers is None or library is None:
            raise OnnxCheckUnavailable(f"ONNXRUNTIME_ROOT={root}: no {HEADER} or no libonnxruntime.so in it")
        return Runtime(headers, library)
    for system in (Path("/usr/local"), Path("/usr")):
        headers, library = _headers_in(system), _library_in(system)
        if headers is not None and library is not None:
            return Runtime(headers, library)
    library = _wheel_library()
    if library is None:
        raise OnnxCheckUnavailable(
            "the C++ checker needs ONNX Runtime: install the onnxruntime wheel, or set ONNXRUNTIME_ROOT"
        )
    headers = _headers_in(_fetched(cache, "onnxruntime", HEADER_SUITES, ["libonnxruntime-dev"], HEADER) / "usr")
    if headers is None:
        raise OnnxCheckUnavailable(f"Debian's libonnxruntime-dev holds no {HEADER} where it used to be")
    return Runtime(headers, library)


def _headers_in(root: Path) -> Path | None:
    return next((root / folder for folder in HEADER_FOLDERS if (root / folder / HEADER).is_file()), None)


def _library_in(root: Path) -> Path | None:
    folders = [root / "lib", root / "lib64", *(root / "lib").glob("*-linux-gnu*")]
    libraries = (path for folder in folders for path in sorted(folder.glob("libonnxruntime.so*")))
    return next((path for path in libraries if path.is_file()), None)


def _wheel_library() -> Path | None:
    """The shared library that the wheel of ONNX Runtime brings along, found without importing the package."""
    wheel = importlib.util.find_spec("onnxruntime")
    folder = Path(wheel.origin).parent / "capi" if wheel and wheel.origin else Path()
    return next(iter(sorted(folder.glob("libonnxruntime.so.*"))), None)


def _key(runtime: Runtime, sanitize: bool) -> str:
    """The name of a build: a digest of all that goes into it."""
    sources = onnx_check_dir()
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.suffix in (".cc", ".h", ".txt", ".cmake"):
            digest.update(f"{path.relative_to(sources)}\0".encode() + path.read_bytes())
    library = runtime.library.resolve()
    digest.update(f"{library}\0{library.stat().st_size}\0{library.stat().st_mtime_ns}\0".encode())
    digest.update((runtime.headers / HEADER).read_bytes())
    return digest.hexdigest()[:20] + ("-sanitize" if sanitize else "")


def _build(runtime: Runtime, cache: Path, program: Path, sanitize: bool) -> None:
    """Builds `program` in a folder beside its own, which takes that name when the program runs."""
    for tool, found in (("a C++ compiler (Debian: g++)", _compiler()), ("CMake (Debian: cmake)", _cmake())):
        if found is None:
            raise OnnxCheckUnavailable(f"the C++ checker needs {tool} to be built")
    prefixes = []
    if not _has_header("lmdb.h"):
        prefixes.append(_fetched(cache, "lmdb", ["own"], ["liblmdb-dev"], "lmdb.h") / "usr")
    if not (_has_header("jpeglib.h") and _has_header("png.h")):
        with suppress(OnnxCheckUnavailable):  # goes without: only encoded images need them
            prefixes.append(_fetched(cache, "codecs", ["own"], CODECS, "jpeglib.h") / "usr")

    with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as temporary:
        tree, done = Path(temporary, "tree"), Path(temporary, "done")
        options = {
            "CMAKE_PREFIX_PATH": ";".join(map(str, prefixes)),
            "CMAKE_INSTALL_PREFIX": done,
            "CMAKE_INSTALL_BINDIR": ".",
            "OnnxRuntime_INCLUDE_DIR": runtime.headers,
            "OnnxRuntime_LIBRARY": _link_runtime(runtime.library, done / "lib"),
            # A newer compiler's new warning is no reason for a user to go without the checker.
            "ONNX_CHECK_WERROR": "ON" if sanitize else "OFF",
            "ONNX_CHECK_SANITIZE": "ON" if sanitize else "OFF",
        }
        defines = [f"-D{name}={value}" for name, value in options.items()]
        cmake = str(_cmake())
        _run([cmake, "-S", str(onnx_check_dir()), "-B", str(tree), *defines], BUILD_SECONDS, "CMake")
        _run([cmake, "--build", str(tree), "--parallel", "2"], BUILD_SECONDS, "its build")
        _run([cmake, "--install", str(tree)], BUILD_SECONDS, "its build")
        _run([str(done / "onnx_check"), "--version"], BUILD_SECONDS, "its first run")
        shutil.rmtree(program.parent, ignore_errors=True)
        done.replace(program.parent)


def _link_runtime(library: Path, folder: Path) -> Path:
    """Links the library and its neighbours (the CUDA provider) into `folder`, and returns the one to link with.

    The wheel has its library under the full version's name only, while programs ask for ``libonnxruntime.so.1``.
    """
    folder.mkdir(parents=True)
    for neighbour in library.parent.glob("libonnxruntime*.so*"):
        (folder / neighbour.name).symlink_to(neighbour.resolve())
    soname = folder / "libonnxruntime.so.1"
    if not soname.exists():
        soname.symlink_to(library.resolve())
    return folder / library.name


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, (os.environ.get("CXX") or "c++", "g++", "clang++"))), None)


def _cmake() -> str | None:
    """CMake from the PATH, or from a wheel beside this Python."""
    return shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))


def _has_header(name: str) -> bool:
    command = [str(_compiler()), "-E", "-x", "c++", "-"]
    source = f"#include <cstdio>\n#include <{name}>\n"
    return subprocess.run(command, input=source, capture_output=True, text=True).returncode == 0


def _fetched(cache: Path, name: str, suites: Sequence[str], packages: Sequence[str], header: str) -> Path:
    """The folder where the Debian `packages` with `header` lie unpacked, from the first of the suites that has them."""
    folder = cache / "packages" / name
    if any(folder.rglob(header)):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    need = f"{header} (Debian: {' '.join(packages)}), and fetching it"
    for suite in suites:
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder.parent) as temporary:
            unpacked = Path(temporary, "unpacked")
            command = ["sh", str(onnx_check_dir() / "fetch_packages.sh"), str(unpacked), suite, *packages]
            try:
                _run(command, FETCH_SECONDS, need)
            except OnnxCheckUnavailable:
                if suite == suites[-1]:
                    raise
                continue
            shutil.rmtree(folder, ignore_errors=True)
            unpacked.replace(folder)
            break
    return folder


def _run(command: list[str], seconds: float, what: str) -> None:
    """Runs a step of the build; `OnnxCheckUnavailable` with its most telling line if it fails.

    What the step has started ends with it, however it ends.
    """
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, errors="replace", start_new_session=True) as step:
        try:
            out, err = step.communicate(timeout=seconds)
        except BaseException as error:
            os.killpg(step.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise OnnxCheckUnavailable(f"the C++ checker needs {what}, which took over {seconds:.0f} s") from None
    if step.returncode != 0:
        raise OnnxCheckUnavailable(f"the C++ checker needs {what}, which failed: {_telling(err, out)}")


def _telling(*outputs: str) -> str:
    """The first error of a build and what follows it, on one line."""
    lines = [line.strip() for output in outputs for line in output.splitlines() if line.strip()]
    errors = [i for i, line in enumerate(lines) if "error" in line.lower() or line.startswith("E:")]
    return " ".join(lines[errors[0] :][:3] if errors else lines[-1:])[:400] or "without a word"
