"""One worker, very many turns: does anything in it only grow? `python -m benchmarks.soak`."""
