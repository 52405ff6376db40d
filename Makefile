# `make screen` and `make test` do all the set-up they need on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CRYSTALS ?= workflows/example_crystals
TEST_WORKERS ?= 2
# No default: reference data are not part of the repository.
REFERENCE = $(or $(SHARED),$(error SHARED=DIR is missing: the folder whose data/ has the reference tables))/data

.PHONY: help screen test soak lint docs clean benchmark-landscape evaluate
.DEFAULT_GOAL := help

help:
	@echo "make screen  install superionic and rank the example crystals (CRYSTALS=folder: your own)"
	@echo "make test    install everything and run the tests"
	@echo "make soak    the long form of the cluster tests, with server kills"
	@echo "make lint    ruff and mypy"
	@echo "make docs    the documentation, in build/docs; warnings are errors"
	@echo "make benchmark-landscape  time landscapes against the published protocol and dynamics"
	@echo "make evaluate SHARED=DIR  the tables of docs/evaluation.md and README.md from the published data"
	@echo "make clean   remove the virtual environment and caches"

screen: $(VENV)/.screen
	$(BIN)/superionic screen $(CRYSTALS)

test: $(VENV)/.test
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m pytest tests/cluster/soak_cluster.py $(PYTEST_ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check --no-cache src tests benchmarks studies docs
	$(BIN)/ruff format --no-cache --check src tests benchmarks studies docs
	$(BIN)/mypy

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -n -q docs build/docs

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'superionic needs Python 3.11 or newer: make PYTHON=python3.11 ...')"
	$(PYTHON) -m venv $(VENV)

# torch first and by itself: with it there, nothing else asks for another build of it.
$(VENV)/.torch: constraints.txt | $(VENV)/bin/python
	$(PIP) torch==2.13.0
	@touch $@

$(VENV)/.screen: pyproject.toml $(VENV)/.torch
	$(PIP) --editable ".[server,serve]"
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.torch
	$(PIP) --editable ".[server,sevennet,matgl,network,notebook,kinisi,mp,optimade,serve,dev]"
	@touch $@ $(VENV)/.screen

$(VENV)/.docs: pyproject.toml $(VENV)/.screen
	$(PIP) --editable ".[docs]"
	@touch $@

benchmark-landscape: $(VENV)/.test
	$(BIN)/python benchmarks/landscape.py --out benchmarks/results

evaluate: $(VENV)/.test
	$(BIN)/superionic evaluate \
		--rows datasets/screening_1000K.jsonl --rows datasets/screening_obelix.jsonl \
		--labels datasets/labels_1000K.jsonl --labels datasets/labels_1000K_longer.jsonl \
		--labels datasets/labels_1000K_melted.jsonl \
		--held-out benchmarks/results/force_network.json \
		--obelix $(REFERENCE)/labels_obelix_conductivity.csv \
		--obelix-match $(REFERENCE)/labels_obelix_to_mp_match.csv \
		--bvse $(REFERENCE)/labels_bvse_bvlain.csv --bvse datasets/bond_valence.csv \
		--write docs/evaluation.md --headline README.md \
		--csv benchmarks/results/evaluation.csv

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build src/*.egg-info
