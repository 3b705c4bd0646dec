"""Real Caffe, by stand-ins that say what `caffe time` says and do as pycaffe does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, read_net
from yosinski.bench import caffe_time
from yosinski.bench.net import passes
from yosinski.bench.nets import MINI

TOOL = """#!/bin/sh
test "$1" = time && grep -q DummyData "${2#-model=}" && test "$3" = -iterations=50 || exit 1
echo "I1121 caffe.cpp:404] Average Forward pass: 10.5 ms." >&2
echo "I1121 caffe.cpp:408] Average Forward-Backward: 31.5 ms." >&2
"""
PYCAFFE = """
import time
TRAIN = 0
class Net:
    def __init__(self, prototxt, phase):
        assert "DummyData" in open(prototxt).read() and phase == TRAIN
    def forward(self): time.sleep(0.002)
    def backward(self): time.sleep(0.003)
"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Caffe of the machine's own; the shell and its companions stay."""
    for name in ("CAFFE_ROOT", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    if shutil.which("caffe"):
        pytest.skip("this machine has a Caffe on its PATH")


def install(folder: Path, text: str = TOOL) -> Path:
    folder.mkdir(parents=True)
    tool = folder / "caffe"
    tool.write_text(text)
    tool.chmod(0o755)
    return tool


def test_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caffe_time.find() is None
    tool = install(tmp_path / "build" / "tools")
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path))
    found = caffe_time.find()
    assert found is not None and found.where == str(tool)
    assert found.seconds(caffe_time.definition(MINI, 64), 50) == pytest.approx(50 * 0.0315)


def test_the_tool_on_the_path_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr("yosinski.bench.net.SGEMM_TIMES", 1)
    made = passes(MINI, 1, 2, torch.device("cpu"))
    assert made.facts["real Caffe"] == str(tool)
    assert made.samples["real Caffe"] == [pytest.approx(1.575)]
    (against,) = (ratio for ratio in made.ratios if ratio.name == "real Caffe / ours")
    assert made.value(against) == pytest.approx(1.575 / made.samples["ours"][0])


def test_pycaffe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "python" / "caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PYCAFFE)
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path))
    assert caffe_time.find() is None  # not built
    (package / "_caffe.so").touch()
    found = caffe_time.find()
    assert found is not None and found.where == str(tmp_path / "python")
    assert 0.05 < found.seconds(caffe_time.definition(MINI, 64), 10) < 5  # sleeps of a busy machine are longer


def test_a_failure_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", "#!/bin/sh\necho 'F1121 Check failed: no luck' >&2; exit 134\n")
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path))
    found = caffe_time.find()
    assert found is not None
    with pytest.raises(CaffeError, match=r"bin/caffe: no time from it \(exit code 134\): F1121 Check failed: no luck"):
        found.seconds(caffe_time.definition(MINI, 64), 50)


def test_its_definition_is_the_same_net(tmp_path: Path) -> None:
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(caffe_time.definition(MINI, 8))
    net = Net(read_net(prototxt), caffe_pb2.TRAIN)
    assert net.blobs["data"].shape == (8, 1, 24, 24) and net.blobs["label"].shape == (8,)
    assert float(net.forward_backward()) > 0
