"""`yosinski study` on the command line: what it prints, and what it refuses."""

from __future__ import annotations

import fcntl
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_plan(run) -> None:
    done = run("study", "plan", "--preset", "paper", "--speed", "5000", "--gpus", "8")
    lines = done.out.splitlines()
    assert lines[0].split() == ["net", "family", "split", "n", "from", "iterations", "images", "hours"]
    assert lines[1].split() == ["1", "half0A", "base", "0", "450,000", "115,200,000", "6.4"]
    assert lines[-4:] == [
        "170 nets: the 163 nets of the paper's numbers and the 7 with random filters",
        "trained in 64 groups of up to 4 that start from the same net and read the same images",
        "18,816,000,000 images to train, 576,000,000 of them one after the other",
        "5 days in all, 8 at a time, at 5,000 img/s as given",
    ]
    alone = run("study", "plan", "--preset", "paper", "--together", "1").out.splitlines()
    assert alone[-3].startswith("trained in 170 groups of up to 1 ")
    assert run("study", "plan", "--preset", "mini").out.splitlines()[-1].startswith("no hours: ")


def test_no_such_preset(run) -> None:
    done = run("study", "plan", "--preset", "papers")
    assert (done.code, done.err.count("\n")) == (1, 1)
    Path("mine.json").write_text("net: full")
    done = run("study", "plan", "--preset", "mine.json")
    assert (done.code, done.err.startswith("yosinski: mine.json: not JSON")) == (1, True)


def test_no_such_device(run) -> None:
    done = run("study", "plan", "--measure", "--device", "gpu")
    assert (done.code, "'gpu' is not auto, cpu, cuda or cuda:N" in done.err) == (2, True)


def test_status_of_a_study_that_has_not_begun(run) -> None:
    done = run("study", "status", "nowhere")
    assert (done.code, done.err) == (1, "yosinski: nowhere: no study here; `yosinski study run` begins one\n")
    assert run("study", "export", "s", "--preset", "tiny").code == 0
    lines = run("study", "status", "s").out.splitlines()
    assert lines[0].split() == ["net", "state", "iteration", "loss", "top-1", "img/s", "left"]
    assert [line.split() for line in lines[1:3]] == [["half0A", "waits", "0/20"], ["half0B", "waits", "0/20"]]
    assert lines[-1] == "0 of 4 nets trained"
    found = json.loads(run("study", "status", "s", "--json").out)
    assert found["nets"][0]["seconds_left"] is None and found["summary"] == lines[-1]


def test_two_runs_in_one_folder_are_refused(run) -> None:
    pytest.importorskip("snakemake")
    Path("s").mkdir()
    with Path("s/.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = run("study", "run", "s", "--preset", "tiny")
    assert (done.code, done.err) == (1, "yosinski: s: another `yosinski study run` is at work here\n")
    assert not Path("s/study.json").exists()


def test_another_study_in_the_same_folder_is_refused(run) -> None:
    assert run("study", "export", "s", "--preset", "tiny").code == 0
    before = Path("s/study.json").read_bytes()
    for options, what in (
        (["--preset", "mini"], 'preset "tiny"'),
        (["--preset", "tiny", "--max-iter", "30"], "other nets or iterations"),
        (["--preset", "tiny", "--compat", "2014"], 'compat "1.0"'),
        (["--preset", "tiny", "--data", "elsewhere"], 'data "data"'),
    ):
        done = run("study", "export", "s", *options)
        assert done.err == f"yosinski: s: a study with {what} is there already; choose another folder for this one\n"
    assert Path("s/study.json").read_bytes() == before
    assert run("study", "export", "s", "--preset", "tiny").code == 0


def test_a_changed_definition_is_refused(run) -> None:
    pytest.importorskip("snakemake")
    assert run("study", "export", "s", "--preset", "tiny").code == 0
    net = Path("s/nets/half0B.prototxt")
    text = net.read_text()
    net.write_text("# with a comment of mine\n" + text)
    assert run("study", "export", "s", "--preset", "tiny").code == 0
    net.write_text(text.replace("num_output: 48", "num_output: 49"))
    done = run("study", "run", "s", "--preset", "tiny")
    assert done.code == 1
    assert done.err == (
        "yosinski: s/nets/half0B.prototxt: has changed since the study was begun; put it back, or remove it to have "
        "it anew\n"
    )


def test_wrong_usage(run) -> None:
    for options, what in (
        (["--devices", "gpu0"], "expected cpu, or GPUs such as cuda:0,cuda:1"),
        (["--devices", "cpu,cuda:0"], "expected cpu, or GPUs such as cuda:0,cuda:1"),
        (["--train", "nowhere"], "--train nowhere: no such file or folder"),
    ):
        done = run("study", "run", "s", "--preset", "tiny", *options)
        assert (done.code, what in done.err) == (2, True), done.err
    assert run("study", "export", "s", "--partition", "gpu").code == 2
    done = run("study", "run", "s", "--preset", "tiny", "--compat", "2013")
    assert (done.code, done.err.split(",")[0]) == (1, "yosinski: compat: '2013'")


def test_images_that_are_not_there(run) -> None:
    """The study itself says so, once it comes to that."""
    assert run("study", "export", "s", "--preset", "paper").code == 0
    job = [sys.executable, "-m", "yosinski", "study", "job"]
    done = subprocess.run([*job, "images"], cwd="s", capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("yosinski: data: no train_lmdb here: `yosinski data prepare --out data` makes it; ")
    done = subprocess.run([*job, "paint"], cwd="s", capture_output=True, text=True)
    assert done.stderr.startswith("yosinski: 'paint' is no step of a study: expected images, ")


def test_the_exported_workflow_is_snakemakes(run) -> None:
    pytest.importorskip("snakemake")
    done = run("study", "export", "s", "--preset", "paper")
    command = shlex.split(done.out)
    assert command[0] == "snakemake"
    dry = subprocess.run([*SNAKEMAKE, *command[1:], "-n"], capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr
    listed = dry.stdout + dry.stderr
    # 64 groups of nets trained, 170 nets exported and verified; 3 of data; the report; and the rule for all.
    assert "total                            409" in listed
    order = [listed.index(f"rule {task}:") for task in ("splits", "means", "train_half0A", "train_transfer0A0A_1_7")]
    assert order == sorted(order)


def test_a_slurm_profile_for_snakemake(run) -> None:
    pytest.importorskip("snakemake")
    done = run("study", "export", "s", "--preset", "paper", "--slurm", "--partition", "gpu")
    profile = json.loads(Path("s/slurm/config.yaml").read_text())
    assert profile["executor"] == "slurm"
    assert "slurm_partition=gpu" in profile["default-resources"]
    command = shlex.split(done.out.splitlines()[-1])
    assert command[-2:] == ["--workflow-profile", "s/slurm"]
    try:
        import snakemake_executor_plugin_slurm  # noqa: F401
    except ImportError:  # everything else in the profile can be tried without the plugin
        profile.pop("executor")
        Path("s/slurm/config.yaml").write_text(json.dumps(profile))
    dry = subprocess.run([*SNAKEMAKE, *command[1:], "-n"], capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr
    listed = dry.stdout + dry.stderr
    train = listed[listed.index("rule train_half0A:") :]
    resources = next(line for line in train.splitlines() if "resources:" in line)
    assert "gpu=1" in resources and "runtime=1440" in resources and "slurm_partition=gpu" in resources
