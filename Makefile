# Everything a new checkout needs is Python 3.11 or newer and make.
#   make run    start the server on 127.0.0.1:2181        ARGS="zoo.cfg -D zookeeper.snapCount=1000"
#   make test   run the tests                             ARGS="tests/server -k config"
#   make check  format, lint, types
#   make compiled   compile the hot modules with mypyc (needs a C compiler); then make run COMPILED=1, make test COMPILED=1
#   make bench  measure beside Apache ZooKeeper (needs Java and a C compiler)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
COMPILED ?=
TREE := build/compiled

.PHONY: run test check format compiled bench clean

run: $(VENV)/installed
	@$(if $(COMPILED),PYTHONPATH=$(TREE)/src) $(BIN)/python -m zoopark serve $(ARGS)

test: $(VENV)/installed-dev
	$(if $(COMPILED),cd $(TREE) && )$(abspath $(BIN))/python -m pytest -n auto --dist loadfile $(ARGS)

compiled: $(VENV)/installed-dev
	$(BIN)/python scripts/compile.py $(TREE)

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A measurement with ARGS is an experiment: only the whole one goes into the README.
bench: $(VENV)/installed-dev
	$(BIN)/python -m bench $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m bench --readme)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

# Each stamp is renewed when pyproject.toml is newer; the sources themselves are used where they are.
$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $(VENV)/installed $@
