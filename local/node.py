"""How the Node.js parts of the local stack are started, without the launchers npm makes.

A launcher is a shell script on one platform and a .cmd file on the other, and each is one more
process that has to be ended.
"""

from pathlib import Path

from local.setup import SetupFailed, find_node

ROOT = Path(__file__).resolve().parent.parent
_PRELOAD = Path(__file__).with_name("until_stdin_ends.cjs")


def node_argv(script: str, *arguments: str) -> tuple[str, ...]:
    """The command line for a script in node_modules; the process ends with its standard input.

    Raises SetupFailed where Node.js or the script is missing.
    """
    node, _ = find_node()
    path = ROOT / "node_modules" / script
    if not path.is_file():
        raise SetupFailed(f"node_modules/{script} is missing; run `python -m local setup`.")
    return (node, "--require", str(_PRELOAD), str(path), *arguments)
