"""The project's own Bicep files, read once."""

from functools import cache
from pathlib import Path

from tests.infra.bicep import Bicep, Resource, Value

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
MODULES = INFRA / "modules"
PATHS = (INFRA / "main.bicep", *sorted(MODULES.glob("*.bicep")))


@cache
def file(name: str) -> Bicep:
    """`main`, or a module by its name."""
    return Bicep.read(INFRA / "main.bicep" if name == "main" else MODULES / f"{name}.bicep")


def every_file() -> list[Bicep]:
    return [file(path.stem) for path in PATHS]


def deployed(kind: str) -> list[Resource]:
    """The resources of that type, in every file, that are not `existing`."""
    return [
        resource
        for bicep in every_file()
        for resource in bicep.resources.values()
        if resource.type == kind and not resource.existing
    ]


def the(kind: str) -> Resource:
    """The only one of that type."""
    (resource,) = deployed(kind)
    return resource


def at(resource: Resource, *path: str) -> Value:
    """The value below those names."""
    value: Value = dict(resource.properties)
    for key in path:
        assert isinstance(value, dict), f"{resource.name}: nothing has a {key} in {value!r}"
        assert key in value, f"{resource.name} has no {'.'.join(path)}"
        value = value[key]
    return value
