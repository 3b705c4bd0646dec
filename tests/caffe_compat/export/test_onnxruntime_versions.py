"""Exported models in an old ONNX Runtime: `make test-ort` names the version, which gets a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from caffe_compat.export.onnx_export import to_onnx

GOLDEN_TEST = Path(__file__).with_name("test_golden.py")
VERSION = os.environ.get("OLD_ONNXRUNTIME", "")
RUN_ALL = """
import sys
from pathlib import Path
import numpy as np
import onnxruntime
assert onnxruntime.__version__ == sys.argv[1], onnxruntime.__file__
for model in sorted(Path(sys.argv[2]).glob("*.onnx")):
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    outputs = session.run(None, dict(np.load(model.with_suffix(".in.npz"))))
    np.savez(model.with_suffix(".out.npz"), *outputs)
"""


@pytest.mark.skipif(not VERSION, reason="make test-ort installs an old ONNX Runtime for it")
def test_an_old_onnx_runtime_computes_what_caffe_computes(tmp_path: Path, agree, capsys) -> None:
    spec = importlib.util.spec_from_file_location("golden_cases", GOLDEN_TEST)
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    folder, wanted = tmp_path / "onnxruntime", {}
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, f"onnxruntime=={VERSION}"], check=True)
    for name in cases.EXPORTED:
        net, case, arrays = cases.layer_net(name)
        feed = {blob: arrays[f"bottom_{i}"] for i, blob in enumerate(case["bottoms"])}
        wanted[name] = (case, [arrays[f"top_{i}"] for i in range(len(case["tops"]))])
        store(tmp_path / f"{name}.onnx", to_onnx(net, outputs=case["tops"]), feed)
    for name in cases.TESTED_NETS:
        net, case, arrays = cases.golden_net(name)
        blobs = cases.exported_blobs(net)
        flat = name.replace("/", "_")
        wanted[flat] = (case, [arrays[f"blob|{blob}"] for blob in blobs])
        feed = {blob: arrays[f"in|{blob}"] for blob in net.inputs}
        store(tmp_path / f"{flat}.onnx", to_onnx(net, outputs=blobs), feed)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", RUN_ALL, VERSION, str(tmp_path)], check=True, env=environment)
    delta = 0.0
    for name, (case, tops) in wanted.items():
        session = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx", providers=["CPUExecutionProvider"])
        with np.load(tmp_path / f"{name}.in.npz") as feed, np.load(tmp_path / f"{name}.out.npz") as old:
            for i, (want, new) in enumerate(zip(tops, session.run(None, dict(feed)))):
                agree(f"{name}, output {i}, ONNX Runtime {VERSION}", old[f"arr_{i}"], want, case)
                ordinary = np.isfinite(want) & (np.abs(want) < 1e30)
                scale = max(np.abs(want[ordinary]).max(initial=0), 1e-30)
                delta = max(delta, np.abs(old[f"arr_{i}"] - new)[ordinary].max(initial=0) / scale)
    with capsys.disabled():
        print(
            f"\n{len(wanted)} models: ONNX Runtime {VERSION} agrees with Caffe, and with {onnxruntime.__version__} "
            f"within {delta:.1e} of an output's largest value"
        )


def store(path: Path, model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> None:
    """A model and what to feed it, side by side."""
    onnx.save(model, path)
    np.savez(path.with_suffix(".in.npz"), **{value.name: feed[value.name] for value in model.graph.input})
