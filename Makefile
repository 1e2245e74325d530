# Every target installs what is missing first; the second run is instant.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= python3
PIP := $(BIN)/python -m pip --disable-pip-version-check
CLI := $(BIN)/label-studio-sam2
MODEL ?= demo

# Idle OpenMP threads sleep: spinning, they would take the cores from whatever runs beside them.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: install system demo serve test test-all lint ci e2e check-image demo-model clean

install: $(STAMP)

# sam2 comes as source whose build needs torch: torch first, then the rest without build isolation.
$(STAMP): pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -r requirements/build.txt
	$(PIP) install -q -r requirements/torch.txt
	SAM2_BUILD_CUDA=0 $(PIP) install -q --no-build-isolation -r requirements/runtime.txt -r requirements/dev.txt
	$(PIP) install -q --no-deps -r requirements/label-studio-ml.txt
	$(PIP) install -q --no-build-isolation --no-deps -e .
	touch $@

demo: install
	$(CLI) demo

serve: install
	MODEL=$(MODEL) $(CLI) serve

# The Debian packages that tests need and pip can't bring, each named as its program.
SYSTEM := docker-compose redis-server chromium

system:
	@missing=; for program in $(SYSTEM); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	test -z "$$missing" || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	else echo "The tests need:$$missing. Please install them." >&2; exit 1; fi

# A test has one core; where there are several, as many tests run at once.
test: install system
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

test-all: test
	$(BIN)/pytest -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

ci: lint test-all e2e

# The real Label Studio, in an environment of its own.
LABEL_STUDIO := .venv-label-studio

$(LABEL_STUDIO)/.installed: requirements/label-studio.txt
	$(PYTHON) -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/python -m pip --disable-pip-version-check install -q -r $<
	touch $@

e2e: install system $(LABEL_STUDIO)/.installed
	$(BIN)/pytest tests/e2e

check-image:
	deploy/check-image

demo-model: install
	$(BIN)/python -m demo_model.train

clean:
	rm -rf $(VENV) out
