# Every target makes what it needs: on a fresh machine `make run` and `make test` are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 8050
# What `make run` installs beside the dashboard: gpt2 runs language models, umap is for maps by UMAP.
# `make run EXTRAS=` installs neither torch nor transformers.
EXTRAS ?= gpt2
# The torch of the benchmarks and of constraints.txt. Where pip is told of CPU builds
# (PIP_EXTRA_INDEX_URL), it prefers 2.13.0+cpu to 2.13.0; of a newer version it may find only the
# CUDA build, which is several GB larger.
TORCH  ?= 2.13.0

# The tests start some hundred processes: each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

# Type checkers do not follow the editable installation of folders at the root. They look for what has
# "-stubs" behind its name, which Python does not import; this link leads them to the sources.
LINK_TYPES = ln -sfn "$(CURDIR)" "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/concept_fragmentation-stubs"

PACKAGES := $(addprefix concept_fragmentation.,address app cli commands figures analysis persistence components callbacks)

.DEFAULT_GOAL := help
.PHONY: help run test test-quick check format bench soak screenshots lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "concept_fragmentation needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What a user needs, by extras, and what a developer needs on top: a stamp each, so that another
# choice installs what is missing, and a choice made before installs nothing again.
RUN := $(VENV)/.run-$(EXTRAS)

$(RUN): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV)$(if $(EXTRAS), with the extras $(EXTRAS); the first time this takes minutes)"
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.$(if $(EXTRAS),[$(EXTRAS)])'
	@$(LINK_TYPES)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[dev]'
	@$(LINK_TYPES)
	@touch $@ $(VENV)/.run- $(VENV)/.run-gpt2 $(VENV)/.run-gpt2,umap

# What benchmarks compare with, MLflow and TransformerLens, pins older packages than ours: it lives
# apart.
.bench/.ready: pyproject.toml
	$(PYTHON) -m venv .bench
	.bench/bin/python $(PIP_INSTALL) --editable '.[bench]' 'torch==$(TORCH)'
	@touch $@

# A static type checker does not follow the editable install of root-level folders; this link does.
.typecheck/concept_fragmentation:
	@mkdir -p .typecheck && ln -sfn .. $@ # outside-ok: the link lies one folder down

run: $(RUN) ## Install and start the dashboard on http://127.0.0.1:8050
	$(BIN)/concept-fragmentation serve --host $(HOST) --port $(PORT)

test: $(VENV)/.dev ## Install and run all tests, in a Chromium too
	$(BIN)/python tests/get_chromium.py
	$(BIN)/python -m pytest --numprocesses=2

test-quick: $(VENV)/.dev ## Install and run the tests that need no browser and take no time
	$(BIN)/python -m pytest --numprocesses=2 --ignore=tests/browser -m 'not browser and not slow'

check: $(VENV)/.dev .typecheck/concept_fragmentation ## Lint, format, types, import directions, nothing from outside
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.typecheck $(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	$(BIN)/lint-imports
	$(BIN)/python tests/check_self_contained.py

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev .bench/.ready ## Run the benchmarks
	$(BIN)/python -m benchmarks

soak: $(VENV)/.dev ## Do all of what the tests do in part: kills, failing calls, mutated files, crowds, an hour of clicks
	$(BIN)/python tests/get_chromium.py
	$(BIN)/python -m pytest --soak -m 'soak or hypothesis'
	$(BIN)/python -m benchmarks.kills 1000
	$(BIN)/python -m benchmarks.fuzz 20000
	$(BIN)/python -m benchmarks.crowd 16 60
	$(BIN)/python -m benchmarks.clicks 10 3600

screenshots: $(VENV)/.dev ## Make the README's pictures again
	$(BIN)/python tests/get_chromium.py
	$(BIN)/python -m docs.make_screenshots

lock: ## Write constraints.txt anew from the newest versions that fit
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/python $(PIP_INSTALL) --editable '.[dev]' 'torch==$(TORCH)'
	{ echo '# The versions that were tested together. Written by `make lock`.'; \
	  .lock/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//'; } > constraints.txt
	rm -rf .lock

clean: ## Remove everything that make made
	rm -rf $(VENV) .bench .lock .typecheck .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build dist
