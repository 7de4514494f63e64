"""The same code as an app of its own, with actions of its own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def write_app(folder: Path, actions: Mapping[str, Any]) -> Path:
    """Make the folder one that a host can start; gives it back."""
    code = (ROOT / "function_app.py").read_text("utf-8")
    path = f"import sys\n\nsys.path.append({str(ROOT)!r})\n"
    docstring, rest = code.split("\n", 1)
    (folder / "function_app.py").write_text(f"{docstring}\n{path}{rest}", "utf-8")
    (folder / "host.json").write_bytes((ROOT / "host.json").read_bytes())
    (folder / "actions.json").write_text(json.dumps(actions), "utf-8")
    return folder
