"""A simulator in this process, as fast as it can, with documents of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.simulator import Simulator, running_simulator

README = """# Weather station

Measures wind and rain on a roof.

## Calibration

Turn the screw until the needle rests at zero.

```
# not a heading
station calibrate --zero
```

## Batteries

Two cells of size AA last a winter.
"""


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "README.md").write_text(README, "utf-8")
    (folder / "docs").mkdir()
    (folder / "docs" / "radio.md").write_text(
        "# Radio\n\nSends every minute on 868 MHz.\n", "utf-8"
    )
    return folder


@pytest.fixture
async def simulator(documents: Path) -> AsyncIterator[Simulator]:
    async with running_simulator(documents=documents) as running:
        yield running
