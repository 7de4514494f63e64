"""The local stack: all that `make run`, `make test` and `make bench` need on one machine."""
