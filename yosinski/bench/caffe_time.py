"""Real Caffe, where a build of it is found: the same net, timed by its own `caffe time` or through its own pycaffe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from caffe_compat.errors import CaffeError
from caffe_compat.proto.text import format as format_text
from yosinski.bench.nets import Size, without_data

NOWHERE = "no build found in CAFFE_ROOT or PATH"
AVERAGE = re.compile(r"Average Forward-Backward: (\S+) ms")
# For a build without the tool: says the same line.
SCRIPT = """
import sys, time
import caffe
net = caffe.Net(sys.argv[1], caffe.TRAIN)
net.forward(); net.backward()
began = time.time()
for _ in range(int(sys.argv[2])):
    net.forward(); net.backward()
print("Average Forward-Backward: %g ms." % ((time.time() - began) / int(sys.argv[2]) * 1e3))
"""


@dataclass(frozen=True)
class RealCaffe:
    """A build of Caffe: its tool, or the folder of its pycaffe."""

    tool: Path | None
    pycaffe: Path | None = None

    @property
    def where(self) -> str:
        return str(self.tool or self.pycaffe)

    def seconds(self, net: str, passes: int) -> float:
        """The time of so many passes forward and backward of a net (prototxt text), on as many threads as torch has.

        CaffeError, with Caffe's last line, if it does not tell.
        """
        threads = str(torch.get_num_threads())
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        with tempfile.TemporaryDirectory(prefix="yosinski-bench-") as folder:
            prototxt = Path(folder, "net.prototxt")
            prototxt.write_text(net, encoding="utf-8")
            if self.tool is not None:
                command = [str(self.tool), "time", f"-model={prototxt}", f"-iterations={passes}"]
            else:
                environment["PYTHONPATH"] = os.pathsep.join([str(self.pycaffe), os.environ.get("PYTHONPATH", "")])
                command = ["python3", "-c", SCRIPT, str(prototxt), str(passes)]
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment
            )
        said = AVERAGE.search(done.stdout + done.stderr)
        if done.returncode != 0 or said is None:
            lines = (done.stdout + done.stderr).strip().splitlines() or ["no word"]
            raise CaffeError(f"{self.where}: no time from it (exit code {done.returncode}): {lines[-1]}")
        return passes * float(said[1]) / 1e3


def find() -> RealCaffe | None:
    """The build that ``CAFFE_ROOT`` names, or else the `caffe` or pycaffe on the paths; None if there is none."""
    root = os.environ.get("CAFFE_ROOT")
    roots = [Path(root)] if root else []
    tools = [place / name for place in roots for name in ("build/tools/caffe", "bin/caffe", "caffe")]
    on_path = shutil.which("caffe")
    tools += [Path(on_path)] if on_path else []
    for tool in tools:
        if tool.is_file() and os.access(tool, os.X_OK):
            return RealCaffe(tool)
    folders = [place / name for place in roots for name in ("python", "build/install/python")]
    folders += [Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    for folder in folders:
        if any((folder / "caffe").glob("_caffe*.so")):
            return RealCaffe(None, folder)
    return None


def definition(size: Size, batch: int) -> str:
    """The net as text, with data that Caffe fills in once."""
    net = without_data(size, size.base, batch)
    data = net.layer[0]
    data.type = "DummyData"
    for value, shape in zip((1.0, 0.0), data.input_param.shape, strict=True):
        data.dummy_data_param.shape.add().CopyFrom(shape)
        data.dummy_data_param.data_filler.add(type="constant", value=value)
    data.ClearField("input_param")
    return format_text(net)
