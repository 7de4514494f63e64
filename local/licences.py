"""`python -m local licences`: whose work is deployed, and under which licence.

Writes docs/licences.md from what the packages say of themselves. A package whose licence is not
among those that were looked at is an error: somebody has to read it first.
"""

import csv
import io
import subprocess
import sys
from pathlib import Path
from typing import Final

from local.pins import normalised, versions

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
ELSEWHERE: Final = frozenset({"colorama", "httpx2-jsfetch", "tzdata"})
"""Packages of the lock for other systems than Azure's Linux."""
NAMES: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages say in words of their own."""
READ: Final = {
    "mssql-python": "MIT",
    "mssql-python-odbc": "Microsoft ODBC Driver 18 for SQL Server (proprietary)",
}
"""What was read in the packages themselves, where their metadata says nothing."""
KNOWN: Final = frozenset(
    {"Apache-2.0", "BSD-3-Clause", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", *READ.values()}
)
_HEAD = """\
# Licences

The packages that are deployed with the app, and what they say of their licence. Made by \
`python -m local licences`.

All of them may be used in a service without further ado. `mssql-python-odbc` brings Microsoft's \
ODBC driver, under Microsoft's own terms; nothing of it is loaded unless the history is in SQL \
Server or Azure SQL. `certifi` (MPL-2.0) is used as it is.

| package | version | licence |
|---|---|---|
"""


class UnknownLicence(Exception):
    """A package with a licence that nobody has looked at."""


def page(root: Path) -> str:
    """The page, for the packages of `requirements.txt`. Raises UnknownLicence."""
    deployed = versions((root / "requirements.txt").read_text("utf-8")).keys() - ELSEWHERE
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=csv", "--packages"]
    told = subprocess.run([*command, *deployed], capture_output=True, text=True, check=True)
    rows = {normalised(row["Name"]): row for row in csv.DictReader(io.StringIO(told.stdout))}
    if missing := deployed - rows.keys():
        raise UnknownLicence(f"Not installed: {', '.join(sorted(missing))}.")
    lines = []
    for name, row in sorted(rows.items()):
        lines.append(f"| {name} | {row['Version']} | {licence(name, row['License'])} |\n")
    return _HEAD + "".join(lines)


def licence(name: str, said: str) -> str:
    """A package's licence by its common name. Raises UnknownLicence."""
    joined = READ.get(name) or said
    for separator in ("; ", " OR ", " AND "):
        joined = joined.replace(separator, " | ")
    parts = [NAMES.get(part, part) for part in joined.split(" | ")]
    if unknown := [part for part in parts if part not in KNOWN]:
        raise UnknownLicence(
            f"{name}: {', '.join(unknown)} is not among those that were looked at."
        )
    return ", ".join(dict.fromkeys(parts))


def main() -> int:
    """Writes the page; the exit code is 1 where a licence is not known."""
    try:
        PAGE.write_text(page(ROOT), "utf-8", newline="\n")
    except UnknownLicence as error:
        print(error, file=sys.stderr)
        return 1
    print(PAGE.relative_to(ROOT).as_posix())
    return 0


if __name__ == "__main__":
    sys.exit(main())
