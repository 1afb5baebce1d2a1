# make demo · make test · make lint · make export: each makes the environment that it needs, once.
PYTHON ?= python3
PIP_FLAGS := --quiet --quiet --disable-pip-version-check
DEMO := out/demo
LITERT_ALONE := sticker# whose Core ML form would make the repository too large

.DEFAULT_GOAL := help
.PHONY: help demo test lint export clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/'

demo: .venv/.stamp ## Eight stickers and a contact sheet, with the light install (no torch)
	.venv/bin/mobigen image --prompts examples/prompts.txt --seed 5 --sheet -o $(DEMO)
	@echo "Eight stickers (transparent PNG) and a contact sheet, sheet.png, are in $(CURDIR)/$(DEMO)"

test: lint ## Lint, types and tests, in the pinned development environment
	.venv-dev/bin/pytest

lint: .venv-dev/.stamp ## ruff and mypy
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

export: .venv-dev/.stamp ## weights/ -> export/: every model, each graph checked against its network
	for name in $(notdir $(wildcard weights/*)); do \
	  case " $(LITERT_ALONE) " in *" $$name "*) to=litert;; *) to=litert,coreml;; esac; \
	  .venv-dev/bin/mobigen export $$name --to $$to --overwrite || exit 1; \
	done
	.venv-dev/bin/python -m mobigen.export.readme README.md export

clean: ## Remove both environments and the demo's pictures
	rm -rf .venv .venv-dev $(DEMO)

.venv/.stamp: pyproject.toml
	@echo "Installing mobigen into .venv, once"
	$(PYTHON) -m venv .venv
	.venv/bin/pip install $(PIP_FLAGS) --editable .
	@touch $@

# torch comes first and pinned: a later install then keeps it, and takes no other build of it.
.venv-dev/.stamp: pyproject.toml requirements-dev.txt
	@echo "Installing the development environment into .venv-dev, once"
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/pip install $(PIP_FLAGS) torch==2.13.0
	.venv-dev/bin/pip install $(PIP_FLAGS) --constraint requirements-dev.txt --editable '.[all,dev]'
	@touch $@
