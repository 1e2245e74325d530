# Every target installs what is missing first; the second run is instant.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= python3
PIP := $(BIN)/python -m pip --disable-pip-version-check
CLI := $(BIN)/label-studio-sam2
MODEL ?= demo

.PHONY: install demo serve test lint ci e2e demo-model benchmarks clean

install: $(STAMP)

# sam2 comes as source whose build needs torch: torch first, then the rest without build isolation.
$(STAMP): pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -r requirements/build.txt
	$(PIP) install -q -r requirements/torch.txt
	SAM2_BUILD_CUDA=0 $(PIP) install -q --no-build-isolation -r requirements/runtime.txt -r requirements/dev.txt
	$(PIP) install -q --no-build-isolation --no-deps -e .
	touch $@

demo: install
	$(CLI) demo

serve: install
	MODEL=$(MODEL) $(CLI) serve

test: install
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

ci: lint test

demo-model: install
	$(BIN)/python -m demo_model.train

clean:
	rm -rf $(VENV) out
