# make demo   set up, then tune and measure the whole chain on the shipped sampler (some 8 minutes on 2 cores)
# make test   set up, then all tests
# make check  lint, types, tests with coverage: what CI runs

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check lint types setup clean

demo: setup
	$(BIN)/gsa tune recipes/demo.toml --out runs/demo
	$(BIN)/gsa eval runs/demo --examples 3

test: setup
	$(BIN)/python -m pytest

check: setup lint types
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=95

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

setup: .venv/done

.venv/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . $(DEV)
	touch $@

# pip learnt of dependency groups late, so the group is read here.
DEV = $(shell $(PYTHON) -c 'import tomllib; print(*(repr(d) for d in tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]))')

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache
