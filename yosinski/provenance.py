"""What tells later where numbers come from: hashes of files, versions of packages, the commit, the time."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from yosinski.resources import CHECKOUT

PACKAGES = ("yosinski", "torch", "numpy", "protobuf", "lmdb", "opencv-python-headless", "onnx", "onnxruntime-gpu")


def describe_file(path: Path) -> dict[str, str]:
    """Path and SHA-256 of a file that a run depends on."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {"path": str(path), "sha256": digest.hexdigest()}


def describe_database(path: Path) -> dict[str, Any]:
    """Path, size in bytes and modification time of a database; hashing hundreds of gigabytes would take an hour."""
    files = sorted(p for p in path.iterdir() if p.is_file() and p.name not in ("lock.mdb", "LOCK", "LOG", "LOG.old"))
    stats = [p.stat() for p in files]
    newest = max((s.st_mtime for s in stats), default=0.0)
    return {
        "path": str(path),
        "bytes": sum(s.st_size for s in stats),
        "modified": datetime.fromtimestamp(newest, timezone.utc).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that take part in the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of this checkout, with ``+`` where files have changed since; None for an installed package."""
    if not (CHECKOUT / ".git").exists():
        return None
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def now() -> str:
    """The time of day, UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
