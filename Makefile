# make setup  create the virtual environment .venv
# make demo   set up, then tune and evaluate three levels on the shipped samples (about 6 minutes on 2 cores)
# make test   set up, then run all tests
# make torture  interrupt and damage two thousand tiny runs (docs/reliability.md; about 15 minutes)
# make hostile  send ten thousand malformed and malicious requests to a server (docs/serving.md; some minutes)
# make check  lint, types, tests with coverage, in random order: what CI runs
# make dist   wheel and sdist in dist/, checked, and installed into an environment of its own, where it labels a text
# make site   the documentation as a web site in build/site; a link that leads nowhere is an error
# make report  the tables and figures of results/report, from the rows and predictions in results
# make bench  speed side by side with other toolkits, each in an environment of its own (hours on 2 cores)

PYTHON ?= python3
# pip options for torch alone, such as --index-url with PyTorch's own CPU index where pip would take CUDA
TORCH ?=
BIN := .venv/bin

.PHONY: demo test torture hostile check dist site report bench lint types setup clean

demo: setup
	$(BIN)/gsa tune recipes/demo.toml --out runs/demo
	$(BIN)/gsa eval runs/demo --examples 3

test: setup
	$(BIN)/python -m pytest

torture: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture.py --out build/torture/torture.json
	mv build/torture/torture.json results/torture.json
	rm -r build/torture

hostile: .venv-hostile/done
	OMP_NUM_THREADS=1 .venv-hostile/bin/python tests/hostile.py --out results/hostile.json

.venv-hostile/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-hostile
	.venv-hostile/bin/python -m pip install $(QUIET) -c constraints.txt $(TORCH) torch
	.venv-hostile/bin/python -m pip install $(QUIET) -c constraints.txt -e '.[server]' $$($(call GROUP,hostile))
	touch $@

report: setup
	$(BIN)/gsa report results/study results/study-baselines --overlaps results/overlaps.json --out results/report/study
	$(BIN)/gsa report results/gsa-135m results/gsa-135m-folds results/baselines results/few-shot --overlaps results/overlaps.json --out results/report/gsa-135m
	$(BIN)/python research/gradient_similarity report results/gsa-135m --out results/report/gradient-similarity

check: setup lint types
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=95

dist: setup
	rm -rf dist build/clean
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv build/clean
	build/clean/bin/python -m pip install $(QUIET) -c constraints.txt $(TORCH) torch
	build/clean/bin/python -m pip install $(QUIET) -c constraints.txt dist/*.whl
	cd build && clean/bin/gsa predict sentiment "Arrived early, works like a charm."
	rm -rf build/clean

site: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile

types: setup
	$(BIN)/mypy

setup: .venv/done

.venv/done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("gsa needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[web]' $$($(call GROUP,dev))
	touch $@

# A peer that cannot be installed is reported in the table, and the others are measured.
bench: .venv-bench/done
	-$(MAKE) --keep-going $(PEERS:%=.venv-bench-%/done)
	.venv-bench/bin/python benchmarks/bench.py run
	.venv-bench/bin/python benchmarks/curve.py

.venv-bench/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install $(QUIET) -c constraints.txt $(TORCH) torch
	.venv-bench/bin/python -m pip install $(QUIET) -c constraints.txt -e '.[server]' $$($(call GROUP,bench))
	touch $@

PEERS := trl lmeval llamacpp llamafactory

.venv-bench-%/done: pyproject.toml
	$(PYTHON) -m venv .venv-bench-$*
	$(if $(filter llamacpp,$*),,.venv-bench-$*/bin/python -m pip install $(QUIET) $(TORCH) torch==2.13.0)
	.venv-bench-$*/bin/python -m pip install $(QUIET) $$($(call GROUP,bench-$*))
	@# not needed for text, and available for CUDA only
	.venv-bench-$*/bin/python -m pip uninstall --quiet --yes torchvision torchaudio
	touch $@

QUIET := --quiet --disable-pip-version-check

# Older versions of pip cannot install dependency groups, so a group is read here.
GROUP = $(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["$(1)"])'

clean:
	rm -rf .venv* build/bench .pytest_cache .mypy_cache .ruff_cache
