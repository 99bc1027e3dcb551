# Everything a new checkout needs is Python 3.11 or newer and make. With a C compiler the hot modules are compiled.
#   make run    start the server on 127.0.0.1:2181        ARGS="zoo.cfg -D zookeeper.snapCount=1000"
#   make install  put `zoopark` into .venv/bin
#   make test   run the tests                             ARGS="tests/server -k config"
#   make check  format, lint, types
#   make sim    simulate ensembles for a minute, each time with other seeds
#   make soak   the same for MINUTES=60, and say what happened and how often
#   make chaos  five processes under kill -9, SIGSTOP, full disks and partitions for MINUTES=5, and what became of them
#   make bench  measure beside Apache ZooKeeper (needs Java and a C compiler)   ARGS="--only ensemble"
# COMPILED=0 runs the server from the sources as they are; COMPILED=1 tests what is installed in place of the sources.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
MINUTES ?= 60
COMPILED ?=
SOURCES := $(shell find src -name '*.py')

.PHONY: run install test check format sim soak chaos bench clean

run: $(VENV)/installed
	@$(if $(filter 0,$(COMPILED)),PYTHONPATH=src) $(BIN)/python -m zoopark serve $(ARGS)

install: $(VENV)/installed

test: $(VENV)/installed-dev $(if $(filter 1,$(COMPILED)),$(VENV)/installed)
	$(BIN)/python -m pytest -n auto --dist loadfile $(if $(filter 1,$(COMPILED)),-o pythonpath=.) $(ARGS)

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

sim: MINUTES = 1
sim soak: $(VENV)/installed-dev
	PYTHONPATH=src $(BIN)/python -m zoopark.sim --minutes $(MINUTES) $(ARGS)

chaos: MINUTES = 5
chaos: $(VENV)/installed-dev
	PYTHONPATH=src $(BIN)/python -m chaos --minutes $(MINUTES) $(ARGS)

# A measurement with ARGS is an experiment: only the whole one goes into the README.
bench: $(VENV)/installed-dev $(VENV)/installed
	$(BIN)/python -m bench $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m bench --readme)

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

# Each stamp is renewed when what it was made of is newer.
$(VENV)/installed: pyproject.toml setup.py $(SOURCES) | $(BIN)/python
	@echo "installing zoopark into $(VENV); compiling takes two minutes"
	@rm -rf build
	$(BIN)/python -m pip install -q .
	@touch $@

$(VENV)/installed-dev: pyproject.toml setup.py | $(BIN)/python
	@rm -rf build
	$(BIN)/python -m pip install -q '.[dev]'
	@touch $(VENV)/installed $@
