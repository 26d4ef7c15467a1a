# make run: set everything up and report on ResNet-50 on the ARAS chip.  make check: lint and fast tests.  make test: all tests.
# Tests draw the same examples every time.  make nightly: new ones, ten times as many, and what takes long.  make docs: the site.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# What `make check` runs: the newcomer's way, and laws that take seconds.
FAST := tests/test_shown.py tests/test_sweep_text.py tests/test_init.py tests/test_report_numbers.py tests/test_number_affine.py \
	tests/test_schedule_aras.py tests/test_chip_files.py

.PHONY: run test nightly combinations check lint docs bench study clean

run: $(STAMP)
	$(BIN)/mho run resnet50 --chip aras --verify --out out/resnet50

check: lint
	$(BIN)/python -m pytest -q -n 2 $(FAST)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

nightly: $(STAMP)
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 --dist worksteal

# A thousand designs and more over everything that can be chosen, exact and legal, and how many had what.
combinations: $(STAMP)
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q --hypothesis-show-statistics tests/test_combinations.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/mkdocs build --strict --quiet

bench: $(STAMP)
	$(BIN)/python -m benchmarks

study: $(STAMP)
	$(BIN)/python -m benchmarks.study

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# Python compiles what is imported when it is: all 14,500 files beforehand would be a quarter of the time.
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e ".[test,lint,docs]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) out site
