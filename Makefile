# `make demo` answers the research questions, `make test` shows that it can be believed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
AUDIO ?= auto
IMAGES ?= auto
PROFILE ?= first
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test lint tests coverage docs release licences clean

demo: .venv/.installed
	@$(BIN)/python scripts/prepare_datasets.py --for-demo --audio $(AUDIO) --images $(IMAGES)
	@$(BIN)/python scripts/run_demo.py --profile $(PROFILE) --audio $(AUDIO) --images $(IMAGES)

test: lint tests

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

tests: .venv/.installed-dev
	$(PYTEST)

# Fails below the floor in pyproject.toml.
coverage: .venv/.installed-dev
	$(PYTEST) --cov --cov-report=term

# The documentation site, built strictly, in build/site.
docs: .venv/.installed-docs
	$(BIN)/python scripts/build_site.py

# Wheel and sdist in dist/, checked.
release: .venv/.installed-release
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

# What is installed with the wheel in dist/: bill of materials (CycloneDX) and licences, in build/release.
licences: .venv/.installed-release
	rm -rf build/release && mkdir -p build/release
	$(BIN)/python -m venv build/release/venv
	build/release/venv/bin/pip install --quiet --disable-pip-version-check dist/*.whl
	$(BIN)/cyclonedx-py environment build/release/venv/bin/python --output-file build/release/sbom.json
	$(BIN)/pip-licenses --python build/release/venv/bin/python --format json --output-file build/release/licences.json
	rm -rf build/release/venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python requirements.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/.installed-docs: .venv/.installed-dev requirements-docs.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@

.venv/.installed-release: .venv/bin/python requirements-release.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-release.txt
	@touch $@

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
