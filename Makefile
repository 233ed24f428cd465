# Two commands matter: `make demo` and `make test`. Each installs what it needs first.

PYTHON := .venv/bin/python

.PHONY: demo test bpf lint install clean

install:
	scripts/install-system.sh
	scripts/venv.sh

bpf: install
	$(MAKE) -s -C bpf

lint: install
	.venv/bin/ruff check .
	.venv/bin/mypy

test: install
	$(PYTHON) -m pytest tests

demo: bpf
	$(PYTHON) scripts/demo.py

clean:
	rm -rf build .venv
