"""A study as a Snakemake workflow for others to run: on a machine, or on a cluster through an executor plugin."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from caffe_compat.atomic import write_text
from caffe_compat.cores import cores
from yosinski.study.run import RETRIES

PROFILE = "slurm"  # the folder of the profile, in the study's
JOBS = 100  # that the cluster has of ours at a time


def local_command(folder: Path) -> str:
    """The command line that runs the workflow on this machine."""
    return f"{_snakemake(folder)} --cores {cores()} --resources slot={cores()}"


def slurm_command(folder: Path) -> str:
    """The command line that has Slurm run it; the folder has to be one that all nodes see."""
    return f"{_snakemake(folder)} --workflow-profile {shlex.quote(str(folder / PROFILE))}"


def write_slurm(folder: Path, partition: str | None) -> Path:
    """Write a profile for snakemake-executor-plugin-slurm, as JSON, which is YAML, and return its file.

    Tasks on GPUs ask for one each; a task that runs out of time, or whose node fails, is tried again and goes on.
    """
    resources = ["runtime=120", "mem_mb=16000", *([f"slurm_partition={partition}"] if partition else [])]
    profile = {
        "executor": "slurm",
        "jobs": JOBS,
        "default-resources": resources,
        "retries": RETRIES * 10,
        "keep-going": True,
        "rerun-incomplete": True,
        "rerun-triggers": "mtime",
        "latency-wait": 60,
    }
    path = folder / PROFILE / "config.yaml"
    write_text(path, json.dumps(profile, indent=1) + "\n")
    return path


def _snakemake(folder: Path) -> str:
    return f"snakemake --directory {shlex.quote(str(folder))} --snakefile {shlex.quote(str(folder / 'Snakefile'))}"
