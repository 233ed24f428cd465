# Two commands matter: `make demo` and `make test`. Each installs what it needs first.

PYTHON := .venv/bin/python
# The probes need root: what is installed is the user's, what is tested runs through sudo.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo env HOME="$(HOME)" PATH="$(PATH)")

.PHONY: demo test bpf jaeger lint install bench mutants clean

install:
	scripts/install-system.sh
	scripts/venv.sh

bpf: install
	$(MAKE) -s -C bpf

lint: install
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

jaeger: install
	scripts/build-jaeger.sh

test: install bpf jaeger
	scripts/kernels.sh
	scripts/kafka.sh
	$(PYTHON) -m tests.agents.install
	$(AS_ROOT) $(PYTHON) -m tests.corpus tools
	$(AS_ROOT) $(PYTHON) -B -m pytest tests

demo: bpf
	$(PYTHON) -m scripts.demo

bench: install bpf
	$(PYTHON) -m bench._all

bench-%: install bpf
	$(PYTHON) -m bench.$*

# Hours on two cores; `make mutants FILES=rules/parts.py` is some minutes.
mutants: install
	$(PYTHON) -B -m scripts.mutants $(FILES)

clean:
	rm -rf build .venv
