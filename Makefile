# SPDX-License-Identifier: Apache-2.0
#
# make demo   train, export, run in LiteRT, compare; results in out/demo
# make test   native tests, native tests under sanitizers, Python tests
# make test-aarch64   native tests on an emulated 64-bit Arm
# make mcu-test       the kernels on emulated microcontrollers, see below
# make mcu-budgets    records what mcu-test lets no count exceed by much
# make fuzz   hostile files, FUZZ_SECONDS=60 in all; findings in out/fuzz
# make lint   formatters, linters and type checker, changing nothing
# make venv   the virtual environment that all of these use
#
# Needs Python 3.11 or newer, a C compiler and make; PYTHON=... names another
# interpreter. Everything else, CMake and Ninja too, comes as Python packages.

PYTHON ?= python3
VENV := .venv

BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
STAMP := $(VENV)/installed
DEV_STAMP := $(VENV)/installed-dev
FUZZ_STAMP := $(VENV)/installed-fuzz

# The install is editable: only a change of the native code needs another one,
# and a new module, which changes its folder.
NATIVE_SOURCES := $(shell find export/runtime -type f)
PYTHON_FOLDERS := $(shell find export gxnor_tf -type d -not -name __pycache__)
C_SOURCES := $(shell find benchmarks examples export/runtime tests \
	-name '*.[ch]' -o -name '*.cc')

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo
demo: $(STAMP)
	$(BIN)/python -m examples.mnist_demo --output_dir=out/demo

.PHONY: test
test: test-native test-python

.PHONY: test-python
test-python: $(STAMP)
	$(BIN)/python -m pytest --durations=10 -m "not mcu"
	@echo "The tests of microcontrollers are apart: make mcu-test"

.PHONY: test-native
test-native: $(STAMP)
	$(call run_native_tests,.cmake/tests,-DGXNOR_SANITIZE=OFF)
	$(call run_native_tests,.cmake/tests-sanitized,-DGXNOR_SANITIZE=ON)

# Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
.PHONY: test-aarch64
test-aarch64: $(STAMP)
	$(call run_native_tests,.cmake/tests-aarch64,-DGXNOR_SANITIZE=OFF \
		-DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/tests/runtime/aarch64-linux-gnu.cmake)

# Says which Debian packages are missing; CI: no test may be skipped.
.PHONY: mcu-test
mcu-test: $(STAMP)
	@$(BIN)/python -m benchmarks.mcu.tools
	CI=true $(BIN)/python -m pytest --durations=10 -m mcu tests/mcu tests/examples

.PHONY: mcu-budgets
mcu-budgets: $(STAMP)
	$(BIN)/python -m benchmarks.mcu --budgets=tests/mcu/budgets.json

# $(1): build folder, $(2): options. The venv's CMake and Ninja come first.
define run_native_tests
PATH="$(BIN):$$PATH" cmake --fresh -G Ninja -S export/runtime -B $(1) \
	-DCMAKE_BUILD_TYPE=Release -DGXNOR_BUILD_TESTS=ON $(2) \
	--log-level=WARNING
PATH="$(BIN):$$PATH" cmake --build $(1) -- --quiet
PATH="$(BIN):$$PATH" ctest --test-dir $(1) --output-on-failure \
	--no-tests=error
endef

# Needs Clang with libFuzzer, and says which Debian packages have it.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: $(FUZZ_STAMP)
	PATH="$(BIN):$$PATH" $(BIN)/python -m tests.fuzz \
		--seconds=$(FUZZ_SECONDS) --folder=out/fuzz

.PHONY: lint
lint: $(DEV_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_SOURCES)

.PHONY: venv
venv: $(STAMP)

$(STAMP): pyproject.toml CMakeLists.txt $(NATIVE_SOURCES) $(PYTHON_FOLDERS)
	@echo "Installing into $(VENV); TensorFlow makes this a large download."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable '.[test]'
	@touch $@

$(DEV_STAMP): $(STAMP)
	$(PIP) install --editable '.[dev]'
	@touch $@

$(FUZZ_STAMP): $(STAMP)
	$(PIP) install --editable '.[fuzz]'
	@touch $@
