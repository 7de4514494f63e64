"""`python -m local site`: the page as it is deployed, in `.local/web`.

`linked`: as it stands in `web/`, whose backend is at the same address. `direct`: told where its
backend is and how its callers sign in with Entra, and allowed to call both. What is not said on the
command line comes from the environment, where azd puts what it has made.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.setup import SetupFailed, find_node

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / ".local" / "web"
AUTHORITY = "https://login.microsoftonline.com"
LEFT_OUT = frozenset({"vendor.mjs", "jsconfig.json"})
_CONNECT = "connect-src 'self'"


class SiteFailed(Exception):
    """Something is missing; says what."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Where the backend is, and the app registration that callers sign in to."""

    api: str
    client_id: str
    authority: str

    @property
    def origins(self) -> str:
        """Whom the page calls besides its own address."""
        found = (re.match(r"https?://[^/]+", url) for url in (self.api, self.authority))
        return " ".join(match[0] for match in found if match)

    def script(self) -> str:
        """The page's `config.js`."""
        config = {
            "api": self.api,
            "authority": self.authority,
            "clientId": self.client_id,
            "scope": f"api://{self.client_id}/.default",
        }
        return f"export const entra = {json.dumps(config, indent=2)};\n"


def direct_from(environ: Mapping[str, str], given: argparse.Namespace) -> Direct | None:
    """None: the shape is `linked`. Raises SiteFailed."""
    shape = given.shape or environ.get("CHAT_SHAPE") or "linked"
    if shape == "linked":
        return None
    api = given.api or environ.get("CHAT_API_URL")
    client_id = given.client_id or environ.get("INFRA_ENTRA_CLIENT_ID")
    tenant = given.tenant or environ.get("INFRA_ENTRA_TENANT_ID") or environ.get("AZURE_TENANT_ID")
    missing = [
        name
        for name, value in (("--api", api), ("--client-id", client_id), ("--tenant", tenant))
        if not value
    ]
    if missing or not (api and client_id and tenant):
        raise SiteFailed(f"The shape direct needs {', '.join(missing)}, or azd's environment.")
    if not re.fullmatch(r"https?://[^\s\"']+", api):
        raise SiteFailed(
            f"--api must be an address such as https://APP.azurewebsites.net/api: {api}"
        )
    authority = tenant if "://" in tenant else f"{AUTHORITY}/{tenant}"
    return Direct(api, client_id, authority)


def build(root: Path, made: Path, direct: Direct | None) -> None:
    """Write the page to the folder `made`. Raises SetupFailed and SiteFailed."""
    node, _ = find_node()
    if subprocess.run([node, str(root / "web" / "vendor.mjs")]).returncode:
        raise SiteFailed("The page's libraries are missing: run npm ci --ignore-scripts.")
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(root / "web", made, ignore=_unwanted)
    if direct is None:
        return
    (made / "config.js").write_text(direct.script(), "utf-8")
    for name in ("index.html", "staticwebapp.config.json"):
        file = made / name
        text = file.read_text("utf-8")
        if _CONNECT not in text:
            raise SiteFailed(f"web/{name} says nothing of {_CONNECT}.")
        file.write_text(text.replace(_CONNECT, f"{_CONNECT} {direct.origins}"), "utf-8")


def _unwanted(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in LEFT_OUT or name.endswith(".d.ts")}


def main(arguments: list[str]) -> int:
    """Writes it and says where it is; the exit code is 1 where something is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m local site", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--shape", choices=("linked", "direct"))
    parser.add_argument("--api", help="direct: the backend's, such as https://APP…/api")
    parser.add_argument("--client-id", help="direct: of the app registration")
    parser.add_argument("--tenant", help="direct: its id, or the whole address of an authority")
    given = parser.parse_args(arguments)
    try:
        direct = direct_from(os.environ, given)
        build(ROOT, MADE, direct)
    except (SiteFailed, SetupFailed) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{MADE.relative_to(ROOT).as_posix()}: {'direct' if direct else 'linked'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
