# The commands of Serval. Needed beforehand: Python 3.11 to 3.14, make, git.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --quiet
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev

CORPUS ?= ../shared/corpora/cremad
ARGS ?=

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

.PHONY: run
run: $(RUNTIME) ## start the API, both workers and what they need on http://127.0.0.1:8000
	@exec $(VENV)/bin/serval up $(ARGS)

.PHONY: test
test: $(DEV) ## all tests, on two cores
	@# One torch thread a process: two processes with two threads each are slower on two cores.
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal --ignore=tests/faults $(ARGS)
	@# These time real processes, so nothing else may run beside them.
	@if [ -d tests/faults ]; then $(PY) -m pytest tests/faults $(ARGS); fi

.PHONY: test-services
test-services: $(DEV) ## the same tests against a real PostgreSQL and a real Redis
	$(PY) tests/services.py $(ARGS)

.PHONY: test-compose
test-compose: $(DEV) ## the containers, run and harmed under Docker; needs root, a quarter of an hour, 15 GB
	$(PY) -m tests.compose $(ARGS)

.PHONY: lint
lint: $(DEV) ## style, format and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy --strict app models workers tests

.PHONY: format
format: $(DEV) ## let ruff put the code into shape
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: bench
bench: $(DEV) ## measure; a table for people, then one line of JSON
	$(PY) -m bench $(ARGS)

.PHONY: starter
starter: $(RUNTIME) ## train the starter models again: make starter CORPUS=folder-of-CREMA-D
	@test -d '$(CORPUS)' || { echo "No corpus at $(CORPUS). Say where it is: make starter CORPUS=/path/to/cremad" >&2; exit 2; }
	$(PY) -m models.starter --corpus '$(CORPUS)' $(ARGS)

.PHONY: pins
pins: ## resolve requirements.txt and requirements-dev.txt anew from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "uv is not on the PATH. Install it: pipx install uv" >&2; exit 2; }
	uv pip compile --quiet --universal --no-annotate --custom-compile-command 'make pins' \
	  --python-version 3.11 pyproject.toml --output-file requirements.txt $(ARGS)
	uv pip compile --quiet --universal --no-annotate --custom-compile-command 'make pins' \
	  --python-version 3.11 pyproject.toml --group dev --constraint requirements.txt \
	  --output-file requirements-dev.txt $(ARGS)

.PHONY: measures
measures: ## write docs/measures.md anew from the definitions in models/audit/measures
	$(PY) -m models.audit.definitions > docs/measures.md

.PHONY: checks
checks: ## write docs/checks.md anew from the checks in models/audit/checks
	$(PY) -m models.audit.check_definitions > docs/checks.md

.PHONY: clean
clean: ## remove the tools' caches; .venv and data stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find app models workers tests -name __pycache__ -prune -exec rm -rf {} +

# The first Python of the list that has a version torch 2.11.0 has wheels for.
$(PY):
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$python --version)"; \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	echo "No Python 3.11 to 3.14 found. Install one, or name it: make run PYTHON=/path/to/python3.12" >&2; exit 1

$(RUNTIME): requirements.txt pyproject.toml | $(PY)
	@echo "Installing the pinned packages into $(VENV): torch is large, this takes some minutes, once"
	@$(PIP) --requirement requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# The pins for development include those for running.
$(DEV): requirements-dev.txt $(RUNTIME)
	@$(PIP) --requirement requirements-dev.txt
	@touch $@
