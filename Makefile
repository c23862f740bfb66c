# One command for each task. Those that need packages first create a virtual environment in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRA ?=

# The GPU extra that matches this machine's driver; empty without a driver.
CUDA := $(shell nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\([0-9]*\).*/\1/p')
GPU := $(if $(CUDA),$(if $(filter 12,$(CUDA)),cuda12,cuda13))
comma := ,

# What the native library is built from.
NATIVE := $(wildcard kernels/native/*) hatch_build.py

# The tests start Python many times; without files of its bytecode each time compiles everything.
unexport PYTHONDONTWRITEBYTECODE

# The tests do not depend on each other.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

# The tests that take more than half of the time on simulated devices: each option of each iterator.
ITERATORS := tests/io tests/planning

# Tests of what works on several streams.
STREAMS := tests/simulated tests/loading tests/execution tests/io

# Tests of what the native module does in place of Python.
IMAGES := tests/decoding tests/execution tests/loading tests/io/test_image*.py tests/io/test_record*.py \
	tests/io/test_bad_records.py tests/io/test_executors_agree.py tests/io/test_invariance.py \
	tests/io/test_augmenters.py tests/io/test_batch_augment.py tests/image/test_image*.py \
	tests/image/test_augment_operations.py

C_SOURCES := kernels/*.cu kernels/*.h kernels/native/*.[ch] tests/kernels/*.c tests/kernels/*.cpp tests/kernels/*.h \
	tests/simulated/installed/*.c

.PHONY: help demo test test-simulated test-python-path test-streams test-mutations test-faults faults test-scale hadoop test-hdfs test-fuzz fuzz check format test-site bench bench-peers bench-parts test-gpu bench-gpu gpu-report docs clean

help:
	@echo "make demo      pack sample photographs, load them, draw a contact sheet"
	@echo "make test      run the tests, those that need a GPU on simulated ones"
	@echo "make test-simulated  run the tests of iterators that need a GPU on simulated ones"
	@echo "make test-python-path  run those of images again without the native module"
	@echo "make test-streams  run those of several streams again, in random order and on other streams"
	@echo "make test-mutations  check that these tests notice each missing wait"
	@echo "make test-faults  run the tests with killed processes, limits, full and read-only disks"
	@echo "make faults    kill training and tools 500 times each"
	@echo "make test-scale  run those of Ray, several processes and training libraries, which are downloaded first"
	@echo "make test-hdfs  run the tests of HDFS, for which 220 MB are downloaded once; needs Java 17"
	@echo "make test-fuzz  feed damaged files to all readers, always the same, for two minutes"
	@echo "make fuzz      do so with ever new ones; SECONDS=… ends it, what is found is in fuzz-findings"
	@echo "make check     check format, lint, types, spelling"
	@echo "make format    format the sources"
	@echo "make docs      build the documentation, with the notebooks' results: docs/_build/html/index.html"
	@echo "make test-site  look at its pages in Chromium, without a network"
	@echo "make bench     compare the speed of loading images with that of other libraries: bench-results"
	@echo "make bench-peers  install these libraries"
	@echo "make bench-parts  compare the speed of other parts: augmenters, record files, rows, tools, remote files"
	@echo "make test-gpu  run the tests that need a GPU, with the Python on the path"
	@echo "make bench-gpu compare the speed on a GPU, with the Python on the path"
	@echo "make gpu-report  gpuio doctor --gpu and both of these, as a report to paste: gpu-report.md"
	@echo "make clean     remove what these commands created"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("gpuio needs Python 3.10 or later, and %s is %d.%d; set PYTHON=" % (sys.executable, *sys.version_info[:2])) if sys.version_info < (3, 10) else None'
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/demo.done: $(BIN)/python pyproject.toml $(NATIVE)
	@echo "installing gpuio$(if $(GPU), for CUDA $(CUDA))"
	@$(BIN)/python -m pip install --quiet -e '.[demo$(if $(GPU),$(comma)$(GPU))]'
	@touch $@

$(VENV)/test.done: $(BIN)/python pyproject.toml $(NATIVE)
	@echo "installing gpuio and the requirements of its tests"
	@$(BIN)/python -m pip install --quiet -e '.[test]' $(EXTRA)
	@touch $@

$(VENV)/dev.done: $(VENV)/test.done
	@$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

demo: $(VENV)/demo.done
	@$(BIN)/gpuio demo

# The tests marked gpu run on simulated devices, whose work is done as late as possible; without a
# GPU the first run need not skip thousands of them one by one.
test: $(VENV)/test.done
	$(PYTEST) $(if $(GPU),,-m "not gpu")
	GPUIO_DEVICE=simulated $(PYTEST) -m gpu $(ITERATORS:%=--ignore=%) tests

# What `test` leaves out, so that it takes less than eight minutes on two processors.
test-simulated: $(VENV)/test.done
	GPUIO_DEVICE=simulated $(PYTEST) -m gpu $(ITERATORS)

# Without the native module, as on a machine without a C compiler.
test-python-path: $(VENV)/test.done
	GPUIO_NATIVE=0 $(PYTEST) -m "not gpu" $(IMAGES)

# Those of several streams again: work is done by chance, the current stream is no default stream.
test-streams: $(VENV)/test.done
	GPUIO_DEVICE=simulated GPUIO_SIMULATION=random:1 GPUIO_STREAM=own $(PYTEST) -m gpu $(STREAMS)

# Safeguards are removed one at a time; a test on simulated devices must fail for each.
test-mutations: $(VENV)/test.done
	$(BIN)/python -m tests.mutations

# Files by their names, since no other run collects them. Each thing suffers its share of the faults;
# GPUIO_FAULTS=all lets it suffer all of them.
test-faults: $(VENV)/test.done
	$(PYTEST) tests/faults/check_*.py

faults: $(VENV)/test.done
	$(BIN)/python -m tests.faults training --count 500
	$(BIN)/python -m tests.faults tools --count 500

# PyTorch is among what is installed: EXTRA can choose a small build of it.
$(VENV)/scale.done: $(VENV)/test.done
	@echo "installing Ray, PyTorch, JAX and training libraries"
	@$(BIN)/python -m pip install --quiet -e '.[test,scale]' $(EXTRA)
	@touch $@

test-scale: $(VENV)/scale.done
	$(PYTEST) tests/scale/check_*.py tests/test_ray_records.py

# Against a real NameNode and DataNode of Hadoop, of which HDFS is the folder.
HDFS ?= $(VENV)/hdfs

hadoop: $(VENV)/test.done
	@$(BIN)/python -m tests.servers.hdfs $(HDFS)

test-hdfs: hadoop
	@GPUIO_HDFS=$(HDFS) $(BIN)/python -m pytest tests/storage/remote/test_hdfs_store.py

# Damaged inputs in processes under limits of memory and time: always the same ones.
test-fuzz: $(VENV)/test.done
	$(BIN)/python -m tests.fuzz --seed 1 --count 20000

# Others each time, until it is interrupted.
fuzz: $(VENV)/test.done
	$(BIN)/python -m tests.fuzz --keep fuzz-findings $(if $(SECONDS),--seconds $(SECONDS))

check: $(VENV)/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/clang-format --dry-run --Werror $(C_SOURCES)

format: $(VENV)/dev.done
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(C_SOURCES)

$(VENV)/docs.done: $(BIN)/python pyproject.toml $(NATIVE)
	@echo "installing gpuio and what its documentation is built with"
	@$(BIN)/python -m pip install --quiet -e '.[docs]' $(EXTRA)
	@touch $@

# A warning is an error. Pages of names that are gone are removed first.
docs: $(VENV)/docs.done
	@rm -rf docs/reference/generated
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html

# The documentation that `docs` has built, in Chromium.
test-site: $(VENV)/test.done
	$(BIN)/python -m pytest tests/check_site.py

# Options in BENCH, such as BENCH='--mxnet PYTHON'; BENCH=--help lists them.
bench: $(VENV)/test.done
	$(BIN)/python -m tests.benchmarks.images $(BENCH)

# The loaders of other libraries; `bench` leaves out those that are not installed.
bench-peers: $(VENV)/test.done
	@$(BIN)/python -m pip install --quiet -r tests/benchmarks/images/peers.txt

bench-parts: $(VENV)/test.done
	$(BIN)/python -m tests.benchmarks.image_iter
	$(BIN)/python -m tests.benchmarks.record_files
	$(BIN)/python -m tests.benchmarks.rows
	$(BIN)/python -m tests.benchmarks.tools
	$(BIN)/python -m tests.benchmarks.mixing
	$(BIN)/python -m tests.benchmarks.remote

# In four processes if pytest-xdist is there.
test-gpu:
	GPUIO_DEVICE=real $(PYTHON) -m pytest $(shell $(PYTHON) -c 'import xdist; print("-n 4")' 2>/dev/null) -m gpu

bench-gpu:
	$(PYTHON) -m tests.benchmarks.gpu

# Each part is in the report, whether it succeeds or not.
gpu-report:
	@{ echo '## gpuio doctor --gpu'; echo '```'; $(PYTHON) -m gpuio doctor --gpu; echo '```'; \
	   echo '## make test-gpu'; echo '```'; $(MAKE) --no-print-directory test-gpu; echo '```'; \
	   echo '## make bench-gpu'; $(MAKE) --no-print-directory bench-gpu; } 2>&1 | tee gpu-report.md

clean:
	rm -rf $(VENV) build dist gpuio-demo bench-results *.egg-info docs/_build docs/reference/generated docs/notebooks/*.ipynb
	rm -f gpuio/libgpuio_native.so gpuio/native_missing.txt
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
