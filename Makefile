# SPDX-License-Identifier: Apache-2.0
#
# make demo   train, export, run in LiteRT, compare; results in out/demo
# make test   native tests, native tests under sanitizers, Python tests
# make test-slow      Python tests that take half a minute and more
# make test-aarch64   native tests on an emulated 64-bit Arm
# make mcu-test       the kernels on emulated microcontrollers, see below
# make mcu-budgets    records what mcu-test lets no count exceed by much
# make docs   the documentation as pages, out/site/index.html
# make docs-test      what tests find in these pages
# make crash-test     kills and resumes training runs, 50 times
# make soak           runs the delegate 100,000 times, and looks for leaks
# make fuzz   hostile files, FUZZ_SECONDS=60 in all; findings in out/fuzz
# make lint   formatters, linters and type checker, changing nothing
# make venv   the virtual environment that all of these use, of the releases in
#             requirements.lock.txt, whose checksums are verified
# make lock   pins releases for changed dependencies; LOCK_FLAGS=--upgrade: the
#             newest of all
# make test-oldest    the wheel, and tests, with the oldest releases allowed;
#                     OLDEST_TESTS=tests: all tests
# make licences       what is installed, and under which licences
#
# Needs Python 3.11 or newer, a C compiler and make; PYTHON=... names another
# interpreter. Everything else, CMake and Ninja too, comes as Python packages.

PYTHON ?= python3
VENV := .venv

BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
STAMP := $(VENV)/installed
OLDEST_VENV := .venv-oldest
OLDEST_STAMP := $(OLDEST_VENV)/installed
OLDEST_PYTHON := $(CURDIR)/$(OLDEST_VENV)/bin/python

# The install is editable: only a change of the native code needs another one,
# and a new module, which changes its folder.
NATIVE_SOURCES := $(shell find export/runtime -type f)
PYTHON_FOLDERS := $(shell find export gxnor_tf -type d -not -name __pycache__)
C_SOURCES := $(shell find benchmarks examples export/runtime tests \
	-name '*.[ch]' -o -name '*.cc')

# What depends on the releases of other packages: each of them at least once.
OLDEST_TESTS ?= \
	tests/gxnor_tf/callbacks_test.py \
	tests/gxnor_tf/layers/dense_test.py \
	tests/export/flatbuffer_builder_test.py \
	tests/export/interpreter_test.py \
	tests/export/main_test.py \
	tests/export/verification_test.py \
	tests/train/command_line_test.py \
	tests/train/datasets_test.py \
	tests/train/report_test.py \
	tests/train/tfds_files_test.py

# One process for each processor, PYTEST_JOBS=0: none beside. The tests of a
# file, which share what its fixtures have built, stay in one process until
# another one has nothing left to do.
PYTEST_JOBS ?= auto
PARALLEL = -n $(PYTEST_JOBS) --dist worksteal

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo
demo: $(STAMP)
	$(BIN)/python -m examples.mnist_demo --output_dir=out/demo

.PHONY: test
test: test-native test-python

.PHONY: test-python
test-python: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL) --durations=10 \
		-m "not mcu and not docs and not slow"
	@echo "Tests that are apart: make test-slow, make mcu-test, make docs-test"

.PHONY: test-slow
test-slow: $(STAMP)
	$(BIN)/python -m pytest $(PARALLEL) --durations=10 -m slow tests

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
	CI=true $(BIN)/python -m pytest $(PARALLEL) --durations=10 -m mcu \
		tests/mcu tests/examples

.PHONY: mcu-budgets
mcu-budgets: $(STAMP)
	$(BIN)/python -m benchmarks.mcu --budgets=tests/mcu/budgets.json

# Short forms of the next two are tests: the first a slow one.
.PHONY: crash-test
crash-test: $(STAMP)
	$(BIN)/python -m tests.train.crash

.PHONY: soak
soak: $(STAMP)
	$(BIN)/python -m tests.export.soak

# $(1): build folder, $(2): options. The venv's CMake and Ninja come first.
define run_native_tests
PATH="$(BIN):$$PATH" cmake --fresh -G Ninja -S export/runtime -B $(1) \
	-DCMAKE_BUILD_TYPE=Release -DGXNOR_BUILD_TESTS=ON $(2) \
	--log-level=WARNING
PATH="$(BIN):$$PATH" cmake --build $(1) -- --quiet
PATH="$(BIN):$$PATH" ctest --test-dir $(1) --output-on-failure \
	--no-tests=error
endef

# Built anew: pages that did not change would keep old links beside them.
.PHONY: docs
docs: $(STAMP)
	rm -rf out/site out/jupyter_execute
	$(BIN)/python -m sphinx -W --keep-going --quiet --fresh-env -b html \
		-c docs -d .cmake/doctrees . out/site
	@echo "The pages begin at out/site/index.html"

# CI: no test may be skipped. Needs Debian's chromium.
.PHONY: docs-test
docs-test: docs
	CI=true $(BIN)/python -m pytest --durations=5 -m docs tests/docs

# Needs Clang with libFuzzer, and says which Debian packages have it.
FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: $(STAMP)
	PATH="$(BIN):$$PATH" $(BIN)/python -m tests.fuzz \
		--seconds=$(FUZZ_SECONDS) --folder=out/fuzz

.PHONY: lint
lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_SOURCES)

.PHONY: venv
venv: $(STAMP)

# --no-build-isolation: what builds the package is locked, too.
$(STAMP): requirements.lock.txt pyproject.toml CMakeLists.txt \
		$(NATIVE_SOURCES) $(PYTHON_FOLDERS)
	@echo "Installing into $(VENV); TensorFlow makes this a large download."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement requirements.lock.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(PIP) check
	@touch $@

.PHONY: lock
lock: $(STAMP)
	$(call pin,requirements.lock.txt,--all-extras --generate-hashes $(LOCK_FLAGS))
	$(call pin,requirements.oldest.txt,--extra test --resolution lowest-direct \
		--upgrade)

# For every Python that the package allows. $(1): file, $(2): options.
define pin
UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet \
	--universal --python-version 3.11 $(2) --output-file $(1) pyproject.toml
endef

.PHONY: licences
licences: $(STAMP)
	@$(BIN)/python -m tools.licences

# The wheel is built and installed as a user would, in an environment that has
# nothing else of this checkout, and used from another folder. Tests run from
# the checkout, which an editable install then takes the place of.
.PHONY: test-oldest
test-oldest: $(STAMP) $(OLDEST_STAMP)
	rm -rf out/wheel
	mkdir -p out
	$(BIN)/python -m build --outdir out/wheel . >out/wheel.log \
		|| (cat out/wheel.log; exit 1)
	$(OLDEST_PYTHON) -m pip install --quiet --quiet --no-deps \
		--force-reinstall out/wheel/*.whl
	$(OLDEST_PYTHON) -m pip check
	cd / && $(OLDEST_PYTHON) -I $(CURDIR)/tests/installed_wheel.py
	$(OLDEST_PYTHON) -m pip install --quiet --quiet --no-deps \
		--no-build-isolation --editable .
	$(OLDEST_PYTHON) -m pytest $(PARALLEL) --durations=5 \
		-m "not mcu and not docs" $(OLDEST_TESTS)

$(OLDEST_STAMP): requirements.oldest.txt
	@echo "Installing into $(OLDEST_VENV)"
	$(PYTHON) -m venv --clear $(OLDEST_VENV)
	$(OLDEST_PYTHON) -m pip --disable-pip-version-check --quiet --quiet \
		install --requirement requirements.oldest.txt
	@touch $@
