"""From callers to instances, storage requests and money: `python -m benchmarks.capacity`."""
