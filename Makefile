# What a newcomer and a contributor run. Needs make and Python 3.10 or later, nothing else.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint bench clean

help: ## list these targets
	@echo "usage: make TARGET [PYTHON=python3.12] [VENV=.venv] [ARGS='...']"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

demo: $(VENV)/.demo ## run an agent, kill its process, resume it, travel in time, fork it
	@$(BIN)/saver demo $(ARGS)

test: $(VENV)/.test ## run every test; ARGS='-k name' selects
	$(BIN)/python -m pytest -n auto $(ARGS)

lint: $(VENV)/.lint ## check style, types, and the scripts where luacheck is installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	@if command -v luacheck; then luacheck lua; else echo "luacheck is not installed: scripts not checked"; fi

bench: $(VENV)/.test ## measure against other savers
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is as old as the install that made it, so a second run installs nothing.
$(VENV)/.pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and \
		'Python 3.10 or later is needed, not %s: make PYTHON=python3.12 ...' % sys.version.split()[0])"
	@echo "Installing into $(VENV), which takes a minute the first time"
	$(PYTHON) -m venv $(VENV)
	@# The pip of an older Python resolves badly and does not know --group.
	$(PIP) install --upgrade pip
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.pip
	$(PIP) install --editable '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.pip
	$(PIP) install --editable '.[demo]' --group test
	@touch $@

$(VENV)/.lint: pyproject.toml | $(VENV)/.pip
	$(PIP) install --editable '.[demo]' --group test --group lint
	@touch $@
