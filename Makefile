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

# A folder that `make bundle` made: all is installed from it, and nothing is downloaded.
OFFLINE ?=
ONLY_FROM := $(if $(OFFLINE),--no-index --find-links $(abspath $(OFFLINE))/wheels)

.PHONY: install bundle system demo serve test test-all fuzz lint ci docs dist e2e check-image check-gpu check-gpu-bundle demo-model clean

install: $(STAMP)

# sam2 comes as source whose build needs torch: torch first, then the rest without build isolation.
$(STAMP): pyproject.toml $(wildcard requirements/*.txt)
	$(if $(OFFLINE),cd $(OFFLINE) && sha256sum --check --quiet SHA256SUMS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q $(ONLY_FROM) -r requirements/build.txt
	$(PIP) install -q $(ONLY_FROM) -r requirements/torch.txt
	SAM2_BUILD_CUDA=0 $(PIP) install -q $(ONLY_FROM) --no-build-isolation -r requirements/runtime.txt
ifeq ($(OFFLINE),)
	$(PIP) install -q -r requirements/dev.txt
	$(PIP) install -q --no-deps -r requirements/label-studio-ml.txt
endif
	$(PIP) install -q $(ONLY_FROM) --no-build-isolation --no-deps -e .
	$(if $(OFFLINE),cp --no-clobber $(OFFLINE)/model_cache/* model_cache/)
	touch $@

# All that `make install OFFLINE=…` needs on a machine of the same system and Python without internet: wheels,
# the checkpoints named in MODELS, and the hashes of both.
OUT ?= out/bundle
MODELS ?= sam2.1_hiera_small

bundle: install
	mkdir -p $(OUT)/wheels $(OUT)/model_cache
	SAM2_BUILD_CUDA=0 $(PIP) wheel -q --no-build-isolation --wheel-dir $(OUT)/wheels \
	    -r requirements/build.txt -r requirements/torch.txt -r requirements/runtime.txt
	for model in $(MODELS); do MODEL_CACHE=$(OUT)/model_cache $(CLI) models download $$model || exit 1; done
	cp model_cache/README.md $(OUT)/model_cache/
	cd $(OUT) && find wheels model_cache -type f -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS
	@echo "$(OUT) is whole. There: make install OFFLINE=$(OUT)"

demo: install
	$(CLI) demo

serve: install
	MODEL=$(MODEL) exec $(CLI) serve

# The Debian packages that tests need and pip can't bring, each named as its program; and promtool alone of Prometheus,
# whose package would start a server on our port.
SYSTEM := docker-compose redis-server chromium nginx

system:
	@missing=; for program in $(SYSTEM); do PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	test -z "$$missing" || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	else echo "The tests need:$$missing. Please install them." >&2; exit 1; fi
	@command -v promtool >/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    folder=$$(mktemp -d) && cd $$folder && apt-get update -qq && apt-get download -qq prometheus && \
	    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 -C /usr/local/bin ./usr/bin/promtool && rm -r $$folder; \
	else echo "The tests need Prometheus' promtool. Please install it." >&2; exit 1; fi

# A test has one core; where there are several, as many tests run at once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

test: install system
	$(PYTEST)

test-all: test
	$(PYTEST) -m slow --durations 12

# Twenty times as many mutated requests as test-all sends: a quarter of an hour.
fuzz: install
	$(BIN)/pytest -m slow tests/server/test_fuzz.py --fuzz 20000

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

ci: lint docs dist test-all e2e

# The pages of docs/; a link that leads nowhere ends it.
docs: install
	$(BIN)/sphinx-build -q -W -b html docs out/docs

# What a release is: a wheel and a source distribution, checked as the package index checks them.
dist: install
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

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

# On a machine with a GPU and without a network, eight minutes at most; `make check-gpu DEVICE=cpu` rehearses it.
DEVICE ?= cuda

check-gpu:
	deploy/check-gpu $(DEVICE)

# The machine's Python, and what it has besides torch and torchvision, which needn't be carried there.
GPU_PYTHON ?= 3.12
GPU_HAS ?= opencv-python-headless pandas lxml

check-gpu-bundle: install
	deploy/check-gpu-bundle $(GPU_PYTHON) $(GPU_HAS)

demo-model: install
	$(BIN)/python -m demo_model.train

clean:
	rm -rf $(VENV) out
