"""A model service that speaks Azure OpenAI's chat completions, at a human pace, with faults."""

from local.simulator.client import Simulator, SimulatorError
from local.simulator.records import RequestRecord
from local.simulator.running import running_simulator

__all__ = ["RequestRecord", "Simulator", "SimulatorError", "running_simulator"]
