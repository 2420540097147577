# Every target does its own set-up (scripts/setup); on a ready machine that takes well under a second.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build omnijet wheel test-wheel test lint format demo bench figures nightly clean system model python test-swift test-python test-slurm

# One configuration everywhere: what is tested is what is used, and nothing is built twice.
SWIFT_BUILD := swift build -c release

export PANDO_PYTHON := $(CURDIR)/.venv/bin/python
export PANDO_BINARY := $(CURDIR)/.build/release/pando
export PANDO_OMNIJET := $(CURDIR)/.build/release/omnijet
# More files to test with lie beside the project on some machines; without them the sample has to do.
ifeq ($(origin PANDO_DATA),undefined)
PANDO_DATA := $(if $(wildcard ../shared/data/h5),$(abspath ../shared/data),$(CURDIR)/samples)
endif
export PANDO_DATA

help: ## Say what the targets are
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: system ## Build the tool for datasets: .build/release/pando
	$(SWIFT_BUILD) --product pando

omnijet: system model ## Build the tool for models: .build/release/omnijet; needs libtorch
	$(SWIFT_BUILD) --product omnijet

wheel: system python ## Build the Python package: dist/pando-*.whl
	scripts/wheel

test: lint test-swift test-python test-wheel test-slurm ## Check style, run all tests
	@echo "make test: style, Swift tests, interoperability tests, tests of the Python package and conversion under Slurm all passed"

test-swift: system model python
	$(SWIFT_BUILD) --build-tests
	swift test -c release --skip-build

test-python: system model python
	@[ -x "$(PANDO_BINARY)" ] || $(SWIFT_BUILD) --product pando
	@[ -x "$(PANDO_OMNIJET)" ] || $(SWIFT_BUILD) --product omnijet
	@scripts/setup launchers || echo "test-python: tests of mpirun and of several machines will be skipped" >&2
	$(PANDO_PYTHON) -m pytest -q Tests/Interop

# It builds the wheel in the words of docs/python.md. Where that is installed there is nothing of Swift, of this project, or of the
# virtual environment that builds it.
test-wheel: system python
	@[ -x .build/release/loader-probe ] || $(SWIFT_BUILD) --product loader-probe
	scripts/test-wheel

test-slurm: system python ## Convert under a real Slurm, which is started for that
	@[ -x "$(PANDO_BINARY)" ] || $(SWIFT_BUILD) --product pando
	scripts/test-slurm

lint: system python ## Check style without changing anything
	$(PANDO_PYTHON) scripts/lint.py
	swift format lint --strict --parallel -r Sources Tests Package.swift

format: system ## Bring Swift sources into the project's style
	swift format --in-place --parallel -r Sources Tests Package.swift

demo: build ## Convert the sample, look at it, prove that nothing was lost
	@scripts/demo

bench: build omnijet python wheel ## Measure; what and against what is said in Benchmarks/
	@[ -x Benchmarks/run ] || { echo "there are no benchmarks yet (Benchmarks/run)" >&2; exit 1; }
	@scripts/setup bench
	$(SWIFT_BUILD) --product scale-probe
	./Benchmarks/run

figures: build ## Draw the pictures of docs/evaluation.md again; needs PANDO_DATA
	scripts/comparison_figures

nightly: export PANDO_FUZZ_ARROW ?= 100000
nightly: export PANDO_FUZZ_CATALOGUE ?= 100000
nightly: export PANDO_FUZZ_HDF5 ?= 20000
nightly: export PANDO_FUZZ_ROOT ?= 500000
nightly: export PANDO_FUZZ_TENSORS ?= 100000
nightly: export PANDO_FUZZ_CONVERT ?= 3000
nightly: test ## The tests with far more damaged inputs

clean: ## Remove everything that was built
	rm -rf .build .build-wheel .venv .venv-wheel .venv-wheel-torch dist demo-output .pytest_cache

system:
	@scripts/setup system

model:
	@scripts/setup model

python:
	@scripts/setup python
