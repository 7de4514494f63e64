# Every target is a Python command that make only calls; without make: python -m local run
PYTHON ?= python3

.PHONY: run test bench setup

run test bench setup:
	@$(PYTHON) -m local $@ $(ARGS)
