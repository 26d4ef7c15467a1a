# make run: set everything up and report on ResNet-50 on the ARAS chip.  make test: set everything up and test.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint bench study docs clean

run: $(STAMP)
	$(BIN)/mho run resnet50 --chip aras --verify --out out/resnet50

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks

study: $(STAMP)
	$(BIN)/python -m benchmarks.study

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,lint]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) out
