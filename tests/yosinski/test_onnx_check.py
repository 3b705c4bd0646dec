"""Finding, building and running the C++ checker from Python."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import lmdb
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from caffe_compat.errors import CaffeError
from yosinski import onnx_check_build
from yosinski.onnx_check import OnnxCheckUnavailable, find_or_build, run_checker, run_raw


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Hands its images through, and doubles them."""
    nodes = [helper.make_node("Identity", ["data"], ["prob"]), helper.make_node("Add", ["data", "data"], ["twice"])]
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1, 2, "W"]) for name in ("data", "prob", "twice")
    ]
    proto = helper.make_model(
        helper.make_graph(nodes, "net", infos[:1], infos[1:]),
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.save(proto, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Images of 1x2x3 with the labels 0, 1, 2, 3; the pixel of the label is the brightest but in the last."""
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for i in range(4):
            pixels = bytes(9 if pixel == i % 3 else 1 for pixel in range(6))
            transaction.put(f"{i:08d}".encode(), b"\x08\x01\x10\x02\x18\x03\x22\x06" + pixels + b"\x28" + bytes([i]))
    return tmp_path / "db"


def test_a_report_with_its_outputs(program: Path, model: Path, db: Path) -> None:
    report = run_checker(model, db, mean_value=[1], scale=0.5, threads=1, batch=3, limit=4, program=program)
    assert (report["top1"], report["images"], report["threads"], report["mean_log_loss"]) == (0.75, 4, 1, None)
    assert report["outputs"].dtype == np.float32 and report["outputs"].shape == (4, 1, 2, 3)
    expected = np.zeros((4, 6))
    expected[range(4), [0, 1, 2, 0]] = 4
    np.testing.assert_array_equal(report["outputs"].reshape(4, 6), expected)


def test_raw_values(program: Path, model: Path) -> None:
    data = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)[..., ::-1]  # not contiguous
    found = run_raw(model, {"data": data}, ["twice", "prob"], program=program)
    np.testing.assert_array_equal(found["prob"], data)
    np.testing.assert_array_equal(found["twice"], 2 * data)


def test_its_errors_are_ours(program: Path, model: Path, db: Path) -> None:
    with pytest.raises(CaffeError, match=r"^onnx_check: .*smaller than the crop of 5$"):
        run_checker(model, db, crop=5, program=program)


def test_the_program_is_built_once(program: Path) -> None:
    before = program.stat().st_mtime_ns
    assert find_or_build() == program and program.stat().st_mtime_ns == before


def test_changed_sources_or_runtimes_are_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.cc", "onnxruntime_cxx_api.h", "libonnxruntime.so.1"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(onnx_check_build, "onnx_check_dir", lambda: tmp_path)
    runtime = onnx_check_build.Runtime(tmp_path, tmp_path / "libonnxruntime.so.1")
    keys = {onnx_check_build._key(runtime, sanitize) for sanitize in (False, True)}
    for name in ("a.cc", "libonnxruntime.so.1"):
        (tmp_path / name).write_text("something else")
        keys.add(onnx_check_build._key(runtime, False))
    assert len(keys) == 4


def test_a_runtime_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRUNTIME_ROOT", str(tmp_path))
    with pytest.raises(OnnxCheckUnavailable, match=r"ONNXRUNTIME_ROOT=.*no onnxruntime_cxx_api\.h"):
        onnx_check_build.find_runtime(tmp_path)
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "onnxruntime_cxx_api.h").touch()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libonnxruntime.so.1.99.0").touch()
    found = onnx_check_build.find_runtime(tmp_path)
    assert (found.headers, found.library.name) == (tmp_path / "include", "libonnxruntime.so.1.99.0")


def broken_source(folder: Path) -> Path:
    (folder / "CMakeLists.txt").write_text(
        'cmake_minimum_required(VERSION 3.18)\nproject(x CXX)\nmessage(FATAL_ERROR "not today")'
    )
    return folder


def test_a_build_that_fails_is_one_line(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    runtime = onnx_check_build.find_runtime(onnx_check_build.cache_dir())
    monkeypatch.setattr(onnx_check_build, "onnx_check_dir", lambda: broken_source(sources))
    monkeypatch.setattr(onnx_check_build, "find_runtime", lambda cache: runtime)
    monkeypatch.setattr(onnx_check_build, "_has_header", lambda name: True)
    monkeypatch.setenv("YOSINSKI_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OnnxCheckUnavailable) as caught:
        find_or_build()
    assert "needs CMake, which failed: CMake Error at CMakeLists.txt:3 (message): not today" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "cache" / "onnx_check").iterdir()] == [".lock"]


def test_a_machine_without_tools_is_one_line(tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOSINSKI_CACHE", str(tmp_path))
    runtime = onnx_check_build.find_runtime(program.parent.parent)
    monkeypatch.setattr(onnx_check_build, "find_runtime", lambda cache: runtime)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(OnnxCheckUnavailable, match=r"^the C\+\+ checker needs a C\+\+ compiler"):
        find_or_build()


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("YOSINSKI_CACHE", str(tmp_path / "file"))
    with pytest.raises(OnnxCheckUnavailable, match="cannot be built in"):
        find_or_build()


def test_importing_it_is_light() -> None:
    code = "import sys, yosinski.onnx_check; print({'torch', 'onnx', 'onnxruntime', 'lmdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_step_of_the_build_takes_along_what_it_has_started(tmp_path: Path) -> None:
    into = tmp_path / "pid"
    step = ["sh", "-c", f"sleep 100 & echo $! > {into}.new; mv {into}.new {into}; wait"]
    with pytest.raises(OnnxCheckUnavailable, match="needs a step, which took over 1 s"):
        onnx_check_build._run(step, 1.0, "a step")
    if not into.exists():
        return  # a busy machine: it has not started anything
    state = Path("/proc", into.read_text().strip(), "stat")
    end = time.monotonic() + 60
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.01)
