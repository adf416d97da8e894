# Two commands do everything from a bare clone: `make demo` and `make test`.
PYTHON ?= python3
RUNTIME := .venv
TESTING := .venv-test

# What the installed package is built from. Python sources are linked, not copied: only which there are counts.
MODULES := build/.modules
$(shell mkdir -p build && find l2l_engine -name '*.py' | sort > $(MODULES).new && \
  { cmp -s $(MODULES).new $(MODULES) || cp $(MODULES).new $(MODULES); })
NATIVE := pyproject.toml CMakeLists.txt $(MODULES) $(shell find csrc -type f)

.PHONY: demo test lint unit nightly bench load soak fuzz sanitize size wheel native-aarch64 docs clean

demo: $(RUNTIME)/.installed
	$(RUNTIME)/bin/l2l predict demo/*.mp4 --plan demo/demo.plan

test: lint unit

lint: $(TESTING)/.installed
	$(TESTING)/bin/ruff check .
	$(TESTING)/bin/ruff format --check .
	$(TESTING)/bin/mypy
	$(TESTING)/bin/lint-imports

# What counts neither threads, memory nor time is tested by two processes, file by file; then the rest, alone.
SIDE_BY_SIDE := tests/training tests/media tests/kernels tests/gpu tests/report tests/docs tests/formats
unit: $(TESTING)/.installed
	failed=0; \
	$(TESTING)/bin/python -m pytest -n 2 --dist loadfile $(SIDE_BY_SIDE) || failed=1; \
	$(TESTING)/bin/python -m pytest $(SIDE_BY_SIDE:%=--ignore %) || failed=1; \
	exit $$failed

# What `make test` leaves out: slow, and it rarely breaks. This -m wins over the one in pyproject.toml.
nightly: $(TESTING)/.installed
	$(TESTING)/bin/python -m pytest -m nightly

# Wants a calm machine. `make bench BENCH="-k deadlines"` runs a part, and replaces that part of the results.
bench: $(TESTING)/.benchmarks
	$(TESTING)/bin/python -m pytest benchmarks --ignore benchmarks/gpu --benchmark --results default $(BENCH)
	$(TESTING)/bin/python -m benchmarks.render

# Lines by room, the product's and the tests' apart.
size:
	@$(PYTHON) studies/size.py

# Longer runs than a test's, on demand.
soak: $(TESTING)/.installed
	L2L_SOAK_S=60 $(TESTING)/bin/python -m pytest -s tests/api/test_soak.py

fuzz: $(TESTING)/.installed
	$(TESTING)/bin/python -m tests.robustness

sanitize: $(TESTING)/.installed
	for preset in asan tsan; do \
	  PATH="$(CURDIR)/$(TESTING)/bin:$$PATH" cmake --preset $$preset && cmake --build --preset $$preset -j2 && \
	  ctest --preset $$preset || exit 1; \
	done

# What is published, in dist/: wheels for x86-64 and aarch64, the source, the training. No container, no other compiler.
wheel: $(TESTING)/.wheels
	PATH="$(CURDIR)/$(TESTING)/bin:$$PATH" $(TESTING)/bin/python packaging/wheels.py $(WHEELS)

# The native tests for aarch64, by a machine that is none: qemu-user runs them (on Debian: apt-get install qemu-user).
native-aarch64: $(TESTING)/.wheels
	PATH="$(CURDIR)/$(TESTING)/bin:$$PATH" $(TESTING)/bin/python packaging/native_aarch64.py

# The pages as a site, in build/site; a link that leads nowhere ends it.
docs: $(TESTING)/.docs
	$(TESTING)/bin/python docs/site/build.py

# The service under load, good and hostile; `make load LOAD="--seconds 300 --clients 8"` is the whole of it.
load: $(TESTING)/.installed
	$(TESTING)/bin/python -m benchmarks.service $(LOAD)

$(RUNTIME)/.installed: $(NATIVE)
	test -x $(RUNTIME)/bin/python || $(PYTHON) -m venv $(RUNTIME)
	L2L_CUDA=OFF $(RUNTIME)/bin/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(TESTING)/.installed: $(NATIVE)
	test -x $(TESTING)/bin/python || $(PYTHON) -m venv $(TESTING)
	L2L_CUDA=OFF $(TESTING)/bin/pip install --quiet --disable-pip-version-check --editable '.[test,training,service]'
	touch $@

$(TESTING)/.benchmarks: $(TESTING)/.installed
	L2L_CUDA=OFF $(TESTING)/bin/pip install --quiet --disable-pip-version-check \
	  --editable '.[bench,test,training,service]'
	touch $@

$(TESTING)/.wheels: $(TESTING)/.installed
	$(TESTING)/bin/pip install --quiet --disable-pip-version-check --editable '.[wheels,test,training,service]'
	touch $@

$(TESTING)/.docs: $(TESTING)/.installed
	$(TESTING)/bin/pip install --quiet --disable-pip-version-check --editable '.[docs,test,training,service]'
	touch $@

clean:
	rm -rf build $(RUNTIME) $(TESTING)
