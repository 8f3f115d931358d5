# What there is to do here. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help run test check audit bench chaos lock migration messages
PYTHON := .venv/bin/python

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the whole instance on http://127.0.0.1:8000, ready to try (PORT, DATA_DIR, DEMO=0 … change it)
	@bash deploy/install.sh run
	@exec $(PYTHON) -m deploy.local --until-parent-ends

test: ## every test, on PostgreSQL 18; then what touches PostgreSQL itself on Debian's 15
	@bash deploy/install.sh dev
	@bash deploy/install.sh chromium
	@bash deploy/install.sh postgres
	@bash deploy/install.sh proxy
	@bash deploy/install.sh kafka
	$(PYTHON) -m pytest
	TEST_POSTGRES=15 $(PYTHON) -m pytest tests/libs tests/house/test_migrations.py

check: ## format, lint, types, the house's rules, migrations against models, translations
	@bash deploy/install.sh dev
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m libs.web.i18n check
	$(PYTHON) -m pytest tests/house

audit: ## work out every seat and line again from the ledger, while the instance runs (DATA_DIR, DATABASE_URL)
	@bash deploy/install.sh run
	@$(PYTHON) -m deploy.audit

bench: ## measure beside the bare framework, some twenty minutes on an idle machine (CASES="hot-32 list" for some)
	@bash deploy/install.sh dev
	@$(PYTHON) -m bench $(CASES)

chaos: ## kill services, PostgreSQL, Kafka under crowds, ten minutes, then check every rule (MINUTES, CLIENTS, SEED)
	@bash deploy/install.sh dev
	@bash deploy/install.sh kafka
	@$(PYTHON) -m tests.chaos both --minutes $(or $(MINUTES),10) --clients $(or $(CLIENTS),400) $(if $(SEED),--seed $(SEED))

lock: ## pin the dependencies of requirements*.in again, with hashes
	@bash deploy/install.sh dev
	for name in requirements requirements-dev; do $(PYTHON) -m uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		$$name.in --output-file $$name.txt || exit 1; done

migration: ## write a revision from the models: make migration SERVICE=events NAME="First tables"
	@bash deploy/install.sh dev
	@$(PYTHON) -m deploy.revision "$(SERVICE)" "$(NAME)"

messages: ## put new French texts into the English catalogues, untranslated, and list what is to do
	@bash deploy/install.sh dev
	@$(PYTHON) -m libs.web.i18n update
