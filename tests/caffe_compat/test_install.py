"""``import caffe``, answered by us; in processes of their own, since it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import caffe_compat


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(caffe_compat.__file__).parents[1])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": root, "PATH": "", **environment},
        capture_output=True,
        text=True,
    )


IMPORTS = """
import sys, caffe_compat
caffe_compat.install_as_caffe()
caffe_compat.install_as_caffe()
import caffe
import caffe.io
import caffe.proto.caffe_pb2 as pb
from caffe import layers as L, params as P, to_proto, NetSpec, TRAIN, TEST
from caffe.proto import caffe_pb2
from caffe.net_spec import NetSpec as Same
from caffe.coord_map import crop
import caffe.draw
assert "torch" not in sys.modules
from caffe import Classifier, Detector, Layer, AdamSolver, get_solver, set_mode_cpu, layer_type_list
from caffe.pycaffe import Net
from caffe._caffe import Net as Bare, Timer
assert caffe is caffe_compat and caffe.io is caffe_compat.io and pb is caffe_pb2 is caffe.io.caffe_pb2
assert sys.modules["caffe.proto.caffe_pb2"] is sys.modules["caffe_compat.proto.caffe_pb2"]
assert Net is Bare is caffe.Net and Same is NetSpec is caffe.NetSpec
assert caffe.io.__spec__.name == "caffe_compat.io"
assert len([f for f in sys.meta_path if "caffe" in type(f).__module__]) == 1
assert caffe.__version__ == "1.0.0"
assert L.Convolution().fn.type_name == "Convolution" and P.Pooling.AVE == 1
assert set(dir(caffe)) > {"Net", "io", "NetSpec", "layers", "params", "set_device", "TRAIN"}
try:
    import caffe.nonesuch
except ModuleNotFoundError as error:
    print(error.name)
"""


def test_every_way_to_import_it(tmp_path: Path) -> None:
    done = python("-c", IMPORTS, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caffe.nonesuch\n", "")


def test_another_caffe_makes_way(tmp_path: Path) -> None:
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe/__init__.py").write_text("from . import io")
    (tmp_path / "caffe/io.py").write_text("other = True")
    code = """
import caffe, caffe.io
assert caffe.io.other
import caffe_compat; caffe_compat.install_as_caffe()
import caffe, caffe.io
assert caffe is caffe_compat and caffe.io is caffe_compat.io
"""
    done = python("-c", code, cwd=tmp_path)
    assert done.stderr == ""


def test_every_name_is_there() -> None:
    for name in dir(caffe_compat):
        assert getattr(caffe_compat, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = caffe_compat.nonesuch


def test_a_script_runs_as_python_would_run_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/helper.py").write_text("value = 42")
    (tmp_path / "sub/script.py").write_text(
        "import sys, helper, caffe\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv, helper.value, caffe.__name__, __file__, sys.path[0])\n"
        "    sys.exit(3)\n"
    )
    done = python("-m", "caffe_compat", "sub/script.py", "-x", "a b", cwd=tmp_path)
    folder = (tmp_path / "sub").resolve()
    expected = f"['sub/script.py', '-x', 'a b'] 42 caffe_compat sub/script.py {folder}\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, expected, "")


def test_an_error_of_caffe_is_one_line_with_the_scripts_line(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('layer {\n  name: "a"\n  type: "Convolutoin"\n}\n')
    (tmp_path / "script.py").write_text(
        "import caffe\ndef load():\n    return caffe.Net('net.prototxt', caffe.TEST)\nload()\n"
    )
    done = python("-m", "caffe_compat", "script.py", cwd=tmp_path, GLOG_minloglevel="2")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("script.py:3: net.prototxt:1: layer 'a': unknown layer type 'Convolutoin'; did you mean")


def test_an_error_of_the_script_has_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import caffe\n1 / 0\n")
    done = python("-m", "caffe_compat", "script.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_wrong_usage(tmp_path: Path) -> None:
    done = python("-m", "caffe_compat", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "usage: python -m caffe_compat SCRIPT [ARGS]\n")
    done = python("-m", "caffe_compat", "none.py", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("none.py: no such script; usage")
    assert python("-m", "caffe_compat", "--help", cwd=tmp_path).returncode == 0


def test_the_log_goes_to_stderr_as_far_as_glogs_variable_says(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import caffe\ncaffe.log('hello')\n")
    assert "_caffe.cpp:52] hello" in python("-m", "caffe_compat", "script.py", cwd=tmp_path).stderr
    assert python("-m", "caffe_compat", "script.py", cwd=tmp_path, GLOG_minloglevel="1").stderr == ""
    (tmp_path / "quiet.py").write_text(
        "import os\nos.environ['GLOG_minloglevel'] = '2'\nimport caffe\ncaffe.log('hello')\n"
        "caffe.init_log(0)\ncaffe.log('once')\n"
    )
    (line,) = python("-m", "caffe_compat", "quiet.py", cwd=tmp_path).stderr.splitlines()
    assert line.endswith("_caffe.cpp:52] once")
