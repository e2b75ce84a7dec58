# What a newcomer and a contributor run. Needs make and Python 3.10 or later, nothing else.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin

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
	@# The scripts as they are sent, with their includes.
	@rm -rf build/lua && mkdir -p build/lua
	@$(BIN)/python -c "import pathlib, saver._scripts as it; \
		[pathlib.Path('build/lua', name + '.lua').write_text(script.source) \
		for name, script in it.scripts().items()]"
	@if command -v luacheck >/dev/null; then luacheck --no-color build/lua; \
		else echo "luacheck is not installed: scripts not checked"; fi

bench: $(VENV)/.test ## measure against other savers
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# install WHAT, ARGUMENTS: dots while pip works, its words only when it fails.
# The dots end with this shell, also when it is interrupted.
define install
@printf '%s ' "Installing $(1) into $(VENV)"; \
(while sleep 1 && kill -0 $$$$ 2>/dev/null; do printf .; done) & dots=$$!; \
$(BIN)/python -m pip install $(2) >$(VENV)/pip.log 2>&1; code=$$?; \
kill $$dots 2>/dev/null; \
if [ $$code -eq 0 ]; then echo ' done'; touch $@; else echo ' failed:'; cat $(VENV)/pip.log; fi; \
exit $$code
endef

# A stamp is as old as its install, so a second run installs nothing.
$(VENV)/.pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and \
		'Python 3.10 or later is needed, not %s: make PYTHON=python3.12 ...' % sys.version.split()[0])"
	@$(PYTHON) -m venv $(VENV)
	@# The pip of an older Python resolves badly and does not know --group.
	$(call install,a new pip,--upgrade pip)

$(VENV)/.demo: pyproject.toml | $(VENV)/.pip
	$(call install,the package and its demo,--editable '.[demo]')

$(VENV)/.test: pyproject.toml | $(VENV)/.pip
	$(call install,what the tests need,--editable '.[demo]' --group test)

$(VENV)/.lint: pyproject.toml | $(VENV)/.pip
	$(call install,what the checks need,--editable '.[demo]' --group test --group lint)
