"""What the host reads before it starts: host.json, local.settings.json, and the environment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

# Without these a Python process does not start, or loses its files, on one system or another.
_ESSENTIAL: Final = frozenset(
    (
        *("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "PYTHONPATH", "TMPDIR", "TZ"),
        *("APPDATA", "COMSPEC", "LOCALAPPDATA", "PATHEXT", "SYSTEMDRIVE", "SYSTEMROOT"),
        *("TEMP", "TMP", "USERPROFILE", "VIRTUAL_ENV", "WINDIR"),
    )
)
_COVERAGE: Final = "COVERAGE_"


class SettingsError(ValueError):
    """A settings file that cannot be used; the message names the file, the entry and the fix."""


def route_prefix(app: Path) -> str:
    """`extensions.http.routePrefix` of the app's host.json; `api` where nothing is said."""
    path = app / "host.json"
    if not path.exists():
        return "api"
    node: Any = _read(path)
    for key in ("extensions", "http", "routePrefix"):
        if not isinstance(node, dict):
            raise SettingsError(f"{path}: the value above {key!r} must be an object")
        if key not in node:
            return "api"
        node = node[key]
    if not isinstance(node, str):
        raise SettingsError(f"{path}: extensions.http.routePrefix must be a string")
    return node


def settings_file(path: Path) -> dict[str, str]:
    """The `Values` of a file in the form of local.settings.json. Raises SettingsError."""
    content = _read(path)
    values = content.get("Values", {})
    if content.get("IsEncrypted"):
        raise SettingsError(
            f"{path}: encrypted settings cannot be read; run `func settings decrypt`"
        )
    if not isinstance(values, dict):
        raise SettingsError(f'{path}: "Values" must be an object of strings')
    for name, value in values.items():
        if not isinstance(value, str):
            raise SettingsError(f'{path}: the setting "{name}" must be a string, in quotes')
    return values


def worker_environment(
    app: Path, own: Mapping[str, str], explicit: Mapping[str, str], *, inherit: bool = True
) -> dict[str, str]:
    """The environment of an app's worker.

    The host's `own` variables win over the app's local.settings.json, as with `func start`;
    `explicit` wins over both. With `inherit=False` neither counts: only what any process needs of
    `own`, and `explicit`. WEBSITE_SITE_NAME, the mark of Azure, comes from `explicit` alone.
    """
    environment: dict[str, str] = {
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "FUNCTIONS_EXTENSION_VERSION": "~4",
    }
    if inherit:
        local = app / "local.settings.json"
        environment |= settings_file(local) if local.exists() else {}
        environment |= own
    else:
        environment |= {name: value for name, value in own.items() if _essential(name)}
    environment.pop("WEBSITE_SITE_NAME", None)
    environment |= {
        "AzureWebJobsScriptRoot": str(app),
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
    }
    return environment | dict(explicit)


def _essential(name: str) -> bool:
    return name.upper() in _ESSENTIAL or name.startswith(_COVERAGE)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as exc:
        raise SettingsError(f"{path}: there is no such file") from exc
    except ValueError as exc:
        raise SettingsError(f"{path}: not valid JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must be a JSON object")
    return content
