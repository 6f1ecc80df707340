# `make demo` answers the research questions, `make test` shows that it can be believed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
AUDIO ?= auto
IMAGES ?= auto
PROFILE ?= first
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test coverage clean

demo: .venv/.installed
	@$(BIN)/python scripts/prepare_datasets.py --for-demo --audio $(AUDIO) --images $(IMAGES)
	@$(BIN)/python scripts/run_demo.py --profile $(PROFILE) --audio $(AUDIO) --images $(IMAGES)

test: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST)

# Fails below the floor in pyproject.toml.
coverage: .venv/.installed-dev
	$(PYTEST) --cov --cov-report=term

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python requirements.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
