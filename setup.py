"""Package metadata. Tool settings live in pyproject.toml, exact versions in constraints.txt."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

README = Path(__file__).with_name("README.md")

# Files outside the two packages that a wheel carries as subpackages of `yosinski`; yosinski.resources finds them.
CARRIED = {"yosinski.prototxt": "prototxt", "yosinski._onnx_check": "tools/onnx_check"}

STUDY = [
    'snakemake>=8; python_version >= "3.11"',
    'snakemake>=7.32; python_version < "3.11"',  # 8 needs 3.11
    'pulp<2.8; python_version < "3.11"',  # later ones break snakemake 7
]

setup(
    name="yosinski",
    version="0.1.0",
    description="Caffe 1.0 on PyTorch, number for number, and the 2014 feature transfer study on top of it",
    long_description=README.read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-2-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["caffe_compat", "caffe_compat.*", "yosinski", "yosinski.*"]), *CARRIED],
    package_dir=CARRIED,
    package_data={
        "caffe_compat.proto": ["*.proto"],
        "yosinski": ["demo_images/**"],
        "yosinski.audit": ["*.json"],
        "yosinski.original": ["*.csv", "*.json", "*.npz"],
        "yosinski.report": ["*.css", "*.js"],
        "yosinski.prototxt": ["**/*.prototxt"],
        "yosinski.study": ["Snakefile"],
        "yosinski._onnx_check": ["**"],
    },
    include_package_data=False,
    install_requires=[
        "click>=8.2",
        "h5py>=3.8",
        "lmdb>=1.4.1",
        "numpy>=1.26",
        "onnx>=1.22",  # earlier, its reference evaluator has no scans with weights
        "onnxruntime-gpu>=1.20",
        "opencv-python-headless>=4.8,<5",  # 5 has no Caffe importer to be checked against
        'plyvel>=1.5; python_version < "3.13"',  # has no wheel for later ones
        "protobuf>=5",
        "rich>=13",
        "simplejpeg>=1.8",  # libjpeg-turbo: OpenCV's pixels, sooner
        "torch>=2.11,<2.14",
        "torchvision>=0.26,<0.29",  # each release goes with one torch
    ],
    extras_require={
        "report": ["matplotlib>=3.8"],
        "imagenet": ["scipy>=1.10"],  # reads the devkit's meta.mat
        "test": [
            "grpcio-tools",
            "hypothesis",
            "matplotlib>=3.8",
            "mypy",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "ruff",
            "scipy>=1.10",
            "setuptools>=70.1",
            *STUDY,
        ],
        "study": STUDY,
        "verify": ["openvino>=2024.6"],
    },
    entry_points={"console_scripts": ["yosinski=yosinski.cli:main", "caffe-compat=caffe_compat.cli:main"]},
    zip_safe=False,
)
