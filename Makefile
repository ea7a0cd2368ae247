# Everything here needs only python3 (3.11 or newer) and make; the first target that runs sets up .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check format settings keys bench clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(STAMP) ## create .venv and install everything into it

demo: $(STAMP) ## play a scripted two minutes of Spaces through the whole pipeline
	@$(BIN)/space-notifier demo

run: $(STAMP) ## everything in one: embedded server, API and a worker
	@$(BIN)/space-notifier up

test: $(STAMP) ## all tests
	$(BIN)/python -m pytest

check: $(STAMP) ## format, lint, types, import rules, tests with their coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --cov

format: $(STAMP) ## rewrite the code in the house format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

settings: $(STAMP) ## write docs/settings.md and .env.example from the descriptions of the settings
	$(BIN)/python -m notifier.config.pages

keys: $(STAMP) ## write docs/keys.md from the schema of the database
	$(BIN)/python -m notifier.store.key_page

bench: $(STAMP) ## the benchmarks, as ratios from one run
	$(BIN)/python -m benchmarks

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
