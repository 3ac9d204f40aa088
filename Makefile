# make setup | demo | test | test-fast | coverage | lint | reference | docs | clean, for a machine without ROS:
# everything goes into .venv.
# PYTHON chooses the interpreter (CPython 3.10 to 3.13). PIP_ARGS is handed to every pip install.
# ROS=jazzy takes the wheels of Jazzy instead of Kilted's, in .venv-jazzy; `make test ROS=jazzy` tests the nodes on them.

PYTHON ?= python3
ROS ?= kilted
PIP_ARGS ?=
SOURCE ?=
DURATION ?= 20
DEMO_OUT ?= demo_out
PYTEST_ARGS ?=
# Test processes: two more than processors, for tests of nodes wait more than they compute. A module stays in one of
# them, and the modules are begun in the order of test/conftest.py.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)

ifeq ($(ROS),kilted)
VENV := .venv
WHEELS := requirements/ros.txt
TEST_NEEDS := requirements/train.txt requirements/test.txt requirements/docs.txt
TESTS :=
else ifeq ($(ROS),jazzy)
VENV := .venv-jazzy
WHEELS := requirements/ros-jazzy.txt
TEST_NEEDS := requirements/test-ros.txt
TESTS := test/ros
else
$(error expected ROS=kilted or ROS=jazzy, got ROS=$(ROS))
endif
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check $(PIP_ARGS)
SCHEMA = $(VENV)/bin/check-jsonschema --quiet --builtin-schema
STAMPS := $(VENV)/stamps
PYTEST = $(PY) -m pytest -n $(WORKERS) --maxprocesses=8 --dist loadfile --no-loadscope-reorder
# With --quiet mkdocs counts no warnings, and --strict lets them pass. The switch silences a notice about MkDocs 2.
SITE = NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
CHOSEN := $(if $(filter-out file default undefined,$(origin PYTHON)),--chosen)

# A ROS installation of the machine must not mix with the wheels.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH ROS_DISTRO VIRTUAL_ENV
unexport AMENT_PREFIX_PATH RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE
# Each of the hundreds of processes that the tests start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

INSTALLED := $(shell find nanodet_kp_core nanodet_kp_ros launch config models -type f -not -path '*/__pycache__/*')

.PHONY: setup demo test test-fast coverage lint reference docs clean check
.DELETE_ON_ERROR:

setup: $(STAMPS)/package

check:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "make: no interpreter '$(PYTHON)': expected CPython 3.10 to 3.13, choose one with make PYTHON=python3.11" >&2; \
	  exit 2; }
	@"$(PYTHON)" tools/check_python.py --venv $(VENV) $(CHOSEN)

$(STAMPS)/wheels: $(WHEELS) requirements/bags.txt requirements/jpeg.txt requirements/runtime.txt tools/patch_wheels.py | check
	@echo "building $(VENV): wheels of ROS 2 $(ROS), numpy, OpenCV, onnxruntime"
	@test -x $(PY) || "$(PYTHON)" -m venv $(VENV)
	@$(PIP) -r $(WHEELS) -r requirements/runtime.txt
	@# The usual OpenCV needs the window libraries of a desktop; without them take the one that has no windows.
	@$(PY) -c 'import cv2' 2>/dev/null || { \
	  $(PY) -m pip uninstall --quiet --yes opencv-python && $(PIP) 'opencv-python-headless<5' && \
	  echo "this machine has no libGL: OpenCV without windows was installed (no --show)"; }
	@command -v cmake >/dev/null || $(PIP) 'cmake<4'
	@$(PY) tools/patch_wheels.py
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/package: $(STAMPS)/wheels CMakeLists.txt package.xml $(wildcard msg/*.msg cmake/*.cmake) $(INSTALLED)
	@echo "building nanodet_kp_ros into $(VENV)"
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) tools/build_package.py
	@touch $@

$(STAMPS)/test: $(STAMPS)/package $(TEST_NEEDS) requirements/colcon.txt
	@echo "installing what the tests need"
	@$(PIP) $(addprefix -r ,$(TEST_NEEDS))
	@$(if $(TESTS),,$(PY) -m venv $(VENV)/colcon && \
	  $(VENV)/colcon/bin/python -m pip install -qq --disable-pip-version-check $(PIP_ARGS) -r requirements/colcon.txt)
	@touch $@

demo: $(STAMPS)/package
	@$(PY) tools/demo.py --source "$(SOURCE)" --seconds $(DURATION) --out "$(DEMO_OUT)"

test: $(STAMPS)/test
	@$(PYTEST) $(TESTS) $(PYTEST_ARGS)

# What needs neither torch nor ROS.
test-fast: $(STAMPS)/test
	@$(PYTEST) -m pure $(PYTEST_ARGS)

# Slower than `make test`: every process that a test starts is measured too. Lines missing: build/coverage/index.html
coverage: $(STAMPS)/test
	@$(PYTEST) --cov --cov-report=term --cov-report=html:build/coverage $(PYTEST_ARGS)

lint: $(STAMPS)/test
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-logo --no-cache
	@$(VENV)/bin/codespell
	@$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	@$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	@$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	@$(SCHEMA) vendor.citation-file-format CITATION.cff
	@$(PY) tools/reference_pages.py --check
	@$(SITE)

# The pages of docs/reference, written from the code. `make lint` fails where they differ from it.
reference: $(STAMPS)/test
	@$(PY) tools/reference_pages.py

# The site in build/site. A dead link, a missing anchor or a page that no menu names is an error.
docs: $(STAMPS)/docs
	@$(SITE)

$(STAMPS)/docs: requirements/docs.txt | check
	@test -x $(PY) || "$(PYTHON)" -m venv $(VENV)
	@$(PIP) -r requirements/docs.txt
	@mkdir -p $(STAMPS) && touch $@

clean:
	rm -rf .venv .venv-jazzy demo_out build
