"""Run, watch and stop a turn: the use case, where model, history and protocol meet."""
