"""`yosinski demo`: the whole path, shortened; called again, it goes on where it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from yosinski.demo import Children, train
from yosinski.net_names import DEMO
from yosinski.run_dir import RunDir

COMMAND = [sys.executable, "-m", "yosinski", "demo", "--out=d", "--max-iter=20"]


def test_stopped_resumed_and_done(tmp_path: Path) -> None:
    # A shell's background jobs ignore Ctrl-C, and so would their children.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    first = subprocess.Popen(COMMAND, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    assert first.stderr is not None
    assert any("training" in line for line in first.stderr)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=300)
    assert first.returncode == 130
    assert not [path for path in tmp_path.rglob("*") if "tmp" in path.name]

    done = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│ half" in line]
    assert [row[0] for row in rows] == list(DEMO)
    for name, half, top1, _, runtimes, delta, agree in rows:
        assert (half[-1], agree) == (name.rstrip("+")[-1], "yes")
        assert 0 <= float(top1) <= 1
        assert len(runtimes.split(", ")) >= 2
        assert 0 < float(delta) < 1e-5
        run = RunDir(tmp_path / "d" / name)
        assert run.finished and run.iteration == 20
        assert (run.path / "deploy.prototxt").exists()
        assert (run.path / f"{name}_iter_20.onnx").exists()
    weights = RunDir(tmp_path / "d" / "transfer_A3B").meta["files"]["weights"]
    assert [Path(entry["path"]).name for entry in weights] == ["base_A_iter_20.caffemodel"]

    said = []
    train("base_A", tmp_path / "d", 20, lambda *what: said.append(what), Children())
    assert said == [("base_A", "trained before", 20)]
