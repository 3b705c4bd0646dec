# Each target sets up what it needs: a virtual environment with pinned versions, and the system packages that the
# C++ checker is built with. Another Python: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SYSTEM := $(VENV)/.system

.DEFAULT_GOAL := help
.PHONY: help demo test test-ort lint bench clean

help:  ## say what the targets do
	@sed -n 's/^\([a-z-]*\):.*##/  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(READY) $(SYSTEM)  ## train six small transfer nets on real images, export them, check them in three runtimes
	$(BIN)/yosinski demo

test: lint $(SYSTEM)  ## the linters, then all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

test-ort: $(READY)  ## exported models in an ONNX Runtime that is two years older
	OLD_ONNXRUNTIME=1.19.2 $(BIN)/pytest tests/caffe_compat/export/test_onnxruntime_versions.py

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## measure the speed against plain torch, ONNX Runtime, real Caffe and this machine's own limits
	$(BIN)/yosinski bench

clean:  ## remove the virtual environment and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(READY): setup.py constraints.txt
	@echo "setting up $(VENV), once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[test,verify]'
	@touch $@

# Never an error: without these packages `yosinski verify` says what is missing and compares the other runtimes.
$(SYSTEM): $(READY) tools/system_packages.sh
	@sh tools/system_packages.sh
	@touch $@
