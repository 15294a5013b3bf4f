# make demo        see datm at work in a minute or two
# make test        everything that must hold before a change is kept
# make test-slow   what takes longer: more faults, more random input, compiled steps, torchrun
# All make the environment they need in .venv, once.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# As many processes as there are cores: each imports torch and computes with one thread. A process
# that runs out of tests takes some of another's.
PYTEST := $(BIN)/pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: demo test lint test-slow clean
.DELETE_ON_ERROR:

demo: $(READY)
	rm -rf demo/runs/demo
	$(BIN)/datm distill --dataset digits --ipc 1 --name demo \
		--runs-dir demo/runs --experts-dir demo/experts
	$(BIN)/datm inspect demo --runs-dir demo/runs --save demo/grid.png

test: lint
	$(PYTEST)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-slow: $(READY)
	$(PYTEST) -m slow

clean:
	rm -rf .venv demo

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("datm needs Python 3.11 or newer; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable ".[dev]"
	touch $@
