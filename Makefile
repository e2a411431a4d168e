# Every target makes what it needs: on a fresh machine `make run` and `make test` are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 8050
# A newer torch is several GB larger where pip finds only its CUDA build.
TORCH  ?= 2.13.0

PACKAGES := $(addprefix concept_fragmentation.,address app cli commands figures analysis persistence components callbacks)

.DEFAULT_GOAL := help
.PHONY: help run test check format bench soak screenshots lock clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "concept_fragmentation needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What a user needs to run it, and what a developer needs on top: two stamps, so that `make run` stays small.
$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.run

# What benchmarks compare with, MLflow and TransformerLens, pins older packages than ours: it lives
# apart.
.bench/.ready: pyproject.toml
	$(PYTHON) -m venv .bench
	.bench/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' 'torch==$(TORCH)'
	@touch $@

# A static type checker does not follow the editable install of root-level folders; this link does.
.typecheck/concept_fragmentation:
	@mkdir -p .typecheck && ln -sfn .. $@

run: $(VENV)/.run ## Install and start the dashboard on http://127.0.0.1:8050
	$(BIN)/concept-fragmentation serve --host $(HOST) --port $(PORT)

test: $(VENV)/.dev ## Install and run all tests, in a Chromium too
	$(BIN)/python tests/get_chromium.py
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

check: $(VENV)/.dev .typecheck/concept_fragmentation ## Lint, format, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=.typecheck $(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev .bench/.ready ## Run the benchmarks
	$(BIN)/python -m benchmarks

soak: $(VENV)/.dev ## Kill processes a thousand times, import 20,000 mutated files, crowd a store
	$(BIN)/python -m benchmarks.kills 1000
	$(BIN)/python -m benchmarks.fuzz 20000
	$(BIN)/python -m benchmarks.crowd 16 60

screenshots: $(VENV)/.dev ## Make the README's pictures again
	$(BIN)/python tests/get_chromium.py
	$(BIN)/python -m docs.make_screenshots

lock: ## Write constraints.txt anew from the newest versions that fit
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' 'torch==$(TORCH)'
	{ echo '# The versions that were tested together. Written by `make lock`.'; \
	  .lock/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//'; } > constraints.txt
	rm -rf .lock

clean: ## Remove everything that make made
	rm -rf $(VENV) .bench .lock .typecheck .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build dist
