"""The whole path of an identity: TLS, bearer tokens, no key anywhere."""

import asyncio
import os
import sys
from pathlib import Path

from local.certificates import make_certificate
from local.storage import running_storage


async def test_every_request_with_a_token(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with running_storage(https=certificate) as storage:
        probe = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", "-m", "tests.contracts.https_probe", storage.url, "conversations"),
            env={**os.environ, **certificate.env()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await probe.communicate()
    assert (probe.returncode, errors.decode()) == (0, "")
    assert output.split(b"\n")[-2].strip() == b"all requests passed"
    assert b"conflict" in output
