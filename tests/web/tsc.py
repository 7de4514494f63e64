"""TypeScript's compiler, as a project of somebody's would run it."""

import json
import re
from pathlib import Path

from tests.web.runtimes import call, find_node

ROOT = Path(__file__).resolve().parents[2]
TSC = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
STRICT = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "target": "es2023",
    "lib": ["es2023", "dom", "dom.iterable"],
    "module": "nodenext",
    "types": [],
}
_COMPLAINT = re.compile(r"^(?P<file>[^(\n]+)\((?P<line>\d+),\d+\): error (?P<code>TS\d+):", re.M)


async def check(
    project: Path, files: dict[str, str], **options: object
) -> list[tuple[str, int, str]]:
    """Compiles the files in `project`; gives file, line and code of every complaint."""
    for name, text in files.items():
        (project / name).write_text(text, "utf-8")
    config = {"compilerOptions": STRICT | {"noEmit": True} | options, "files": list(files)}
    (project / "tsconfig.json").write_text(json.dumps(config))
    node, _ = find_node()
    code, out, complaint = await call(node, str(TSC), "-p", "tsconfig.json", cwd=project)
    found = [(each["file"], int(each["line"]), each["code"]) for each in _COMPLAINT.finditer(out)]
    assert (code == 0, complaint) == (not found, ""), out
    return found


async def compile_to_javascript(text: str, project: Path) -> str:
    """The JavaScript of a TypeScript module, which must compile."""
    assert await check(project, {"sample.mts": text}, noEmit=False) == []
    return (project / "sample.mjs").read_text("utf-8")
