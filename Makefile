# Every target is a Python command that make only calls; without make: python -m local run
PYTHON ?= python3

.PHONY: run test console bench chaos ingest retrieval doctor check package site lock licences streams soak capacity setup

run test console bench chaos ingest retrieval doctor check package site lock licences streams soak capacity setup:
	@$(PYTHON) -m local $@ $(ARGS)
