"""A whole study, small enough for a test: killed again and again, it comes out as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from yosinski.study.folder import Folder, Options
from yosinski.study.plan import make_plan
from yosinski.study.presets import find_preset

pytest.importorskip("snakemake")

KILLS = 5
RUN = [sys.executable, "-m", "yosinski", "study", "run", "--preset", "tiny", "--max-iter", "60"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
UNDISTURBED = """
import sys
from yosinski.study.jobs import run_job
for step in ("images", "splits", "means"):
    assert run_job(step, []) == 0
assert run_job("train", sys.argv[1:]) == 0
"""


def hashes(folder: Folder) -> dict[str, str]:
    """The final weights of all nets."""
    names = [net["name"] for net in folder.read()["nets"]]
    return {name: folder.run(name).meta["weights"]["sha256"] for name in names}


def progress(folder: Path) -> int:
    """A number that grows while nets are trained."""
    return sum(log.read_text(errors="replace").count(", loss = ") for log in folder.glob("runs/*/train.log"))


def test_killed_again_and_again_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    calm = Folder(tmp_path / "calm")
    plan = make_plan(find_preset("tiny"), max_iter=60)
    calm.write(plan, Options())
    names = [net.name for net in plan.nets]
    subprocess.run([sys.executable, "-c", UNDISTURBED, *names], cwd=calm.path, env=ENVIRONMENT, check=True)
    folder, chance = Folder(tmp_path / "killed"), random.Random(1)
    command, seen = [*RUN, str(folder.path)], 0
    for _ in range(KILLS):
        driver = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL, start_new_session=True)
        while progress(folder.path) <= seen and driver.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.3))
        driver.kill()  # what it started ends by itself
        if driver.wait() == 0:  # this machine was too busy for the next kill
            break
        assert driver.returncode == -signal.SIGKILL
        seen = progress(folder.path)
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert hashes(folder) == hashes(calm)
    sessions = [len(folder.run(name).meta["sessions"]) for name in names]
    assert max(sessions) > 1, "no net was interrupted"
    rows = folder.results.read_text().splitlines()
    assert len(rows) == 1 + len(names) and all(",True," in row for row in rows[1:])
    assert (folder.path / "report" / "index.html").is_file()
    again = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (0, "")  # nothing left to do
