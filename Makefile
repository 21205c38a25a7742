# One command each; every one of them prepares what it needs. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
PY := $(VENV)/bin/python
# The first Python that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

RECORDS ?= 100000
BENCH_RECORDS ?= 1000000
BENCH_ROUNDS ?= 5
PYTEST := $(PY) -m pytest -n 2 --dist loadfile
COUNTS := build/tests-per-back-end.txt
CODE := adapters bus client contracts monitoring tests

.PHONY: help setup demo test test-fast lint bench wheel docs clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

# Running needs less than developing: `make demo` on a fresh machine installs only what Renkei itself uses.
$(VENV)/.run: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Renkei needs Python 3.11 or newer (try: make PYTHON=/path/to/python3)" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.develop: $(VENV)/.run
	$(INSTALL) --editable '.[dev]'
	@touch $@

setup: $(VENV)/.develop ## prepare .venv with everything for developing

demo: $(VENV)/.run ## one night of one city: a file in, three subscribers served; then a move-in as an event (RECORDS=100000)
	@$(VENV)/bin/renkei demo --records $(RECORDS)

test: $(VENV)/.develop ## all tests, on SQLite in one process and on PostgreSQL with RabbitMQ; nothing is skipped
	@sh tests/services.sh
	@mkdir -p build && rm -f $(COUNTS)
	RENKEI_TEST_BACKEND=embedded RENKEI_TEST_COUNTS=$(COUNTS) $(PYTEST)
	RENKEI_TEST_BACKEND=services RENKEI_TEST_COUNTS=$(COUNTS) $(PYTEST)
	@cat $(COUNTS)

test-fast: $(VENV)/.develop ## the tests on the embedded back ends only
	@sh tests/services.sh
	RENKEI_TEST_BACKEND=embedded $(PYTEST)

lint: $(VENV)/.develop ## ruff and mypy (strict)
	$(VENV)/bin/ruff check $(CODE)
	$(VENV)/bin/mypy

bench: $(VENV)/.develop ## the nightly batch against its floor and its peers (BENCH_RECORDS=1000000)
	@$(VENV)/bin/renkei bench batch --records $(BENCH_RECORDS) --rounds $(BENCH_ROUNDS)

wheel: $(VENV)/.develop ## build dist/renkei_bus-*.whl
	$(PY) -m build --wheel --outdir dist .

docs: $(VENV)/.develop ## write docs/cli*.md anew from the commands, docs/messages*.md from the messages
	$(PY) -m bus.cli.reference docs
	$(PY) -m bus.cli.messages_manual docs

clean: ## remove what building and testing left; .venv stays
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
