# make demo   set up, then tune and measure the whole chain on the shipped sampler (some 6 minutes on 2 cores)
# make test   set up, then all tests
# make torture  a thousand deaths, damages and stops of a tiny run, counted (docs/reliability.md; some 30 minutes)
# make check  lint, types, tests with coverage: what CI runs

PYTHON ?= python3
# pip options for torch alone, such as --index-url with PyTorch's own CPU index where pip would take CUDA
TORCH ?=
BIN := .venv/bin

.PHONY: demo test torture check lint types setup clean

demo: setup
	$(BIN)/gsa tune recipes/demo.toml --out runs/demo
	$(BIN)/gsa eval runs/demo --examples 3

test: setup
	$(BIN)/python -m pytest

torture: setup
	rm -f results/torture.json
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture.py --out results/torture.json

check: setup lint types
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=95

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

setup: .venv/done

.venv/done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("gsa needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . $$($(DEV))
	touch $@

# pip learnt of dependency groups late, so the group is read here.
DEV = $(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"])'

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache
