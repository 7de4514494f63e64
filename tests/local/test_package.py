"""The package: what is in it, and that it runs where nothing else is installed."""

import asyncio
import marshal
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import CodeType

import aiohttp
import pytest

from local.host import running_host
from local.package import SITE_PACKAGES, PackageFailed, app_files, build
from local.pins import versions
from local.setup import environment_python
from local.simulator import running_simulator
from local.storage import running_storage
from tests.e2e.client import Api

ROOT = Path(__file__).resolve().parents[2]
UNCHECKED_HASH = 0b01


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def package(folder: Path) -> zipfile.ZipFile:
    """The package for this machine."""
    return zipfile.ZipFile(build(ROOT, folder / "made", here=True))


@pytest.fixture(scope="module")
def unpacked(package: zipfile.ZipFile, folder: Path) -> Path:
    app = folder / "unpacked"
    package.extractall(app)
    return app


def names(package: zipfile.ZipFile) -> Iterator[PurePosixPath]:
    return map(PurePosixPath, package.namelist())


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_only_what_is_deployed_is_in_it(package: zipfile.ZipFile):
    tops = {name.parts[0] for name in names(package)}
    app = {"function_app.py", "host.json", "requirements.txt", "actions.json", "shared"}
    assert tops == {*app, ".python_packages", "__pycache__"}
    assert {file.parts[0] for file in app_files(ROOT)} == app
    assert not [file for file in app_files(ROOT) if file.suffix == ".pyc"]
    assert {file.name for file in (ROOT / "shared").rglob("*.py")} <= {
        file.name for file in app_files(ROOT)
    }


def test_every_package_of_the_lock_is_in_it(package: zipfile.ZipFile):
    locked = versions((ROOT / "requirements.txt").read_text("utf-8"))
    there = {
        name.parts[len(SITE_PACKAGES.parts)].removesuffix(".dist-info").partition("-")[0]
        for name in names(package)
        if ".dist-info" in str(name)
    }
    for_others = {"colorama", "httpx2-jsfetch", "tzdata"}
    assert {name.replace("-", "_") for name in locked.keys() - for_others} == {
        name.lower().replace("-", "_").replace(".", "_") for name in there
    }


def test_all_of_it_is_compiled_and_no_time_makes_that_stale(package: zipfile.ZipFile):
    sources = {name for name in names(package) if name.suffix == ".py"}
    compiled = {name for name in names(package) if name.suffix == ".pyc"}
    tag = sys.implementation.cache_tag
    wanted = {name.parent / "__pycache__" / f"{name.stem}.{tag}.pyc" for name in sources}
    assert len(sources) > 2000
    assert wanted == compiled
    for name in (PurePosixPath(f"__pycache__/function_app.{tag}.pyc"), sorted(compiled)[-1]):
        assert int.from_bytes(package.read(str(name))[4:8], "little") == UNCHECKED_HASH


def test_tracebacks_name_no_folder_of_whoever_built_it(package: zipfile.ZipFile):
    tag = sys.implementation.cache_tag
    code = marshal.loads(package.read(f"shared/__pycache__/services.{tag}.pyc")[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == os.path.join("shared", "services.py")


def test_the_same_files_make_the_same_package(tmp_path: Path):
    app = tmp_path / "app"
    (app / "shared").mkdir(parents=True)
    (app / ".funcignore").write_text("*\n!/shared\n!/shared/**\n!/requirements.txt\n")
    (app / "shared" / "a.py").write_text("A = 1\n")
    (app / "other.py").write_text("left = 'out'\n")
    (app / "requirements.txt").write_text("")
    first = build(app, tmp_path / "first").read_bytes()
    os.utime(app / "shared" / "a.py", (1, 1))
    assert build(app, tmp_path / "second").read_bytes() == first
    listed = zipfile.ZipFile(tmp_path / "first" / "app.zip").namelist()
    assert "shared/a.py" in listed
    assert "other.py" not in listed


def test_what_cannot_be_built_is_said(tmp_path: Path):
    (tmp_path / ".funcignore").write_text("")
    (tmp_path / "requirements.txt").write_text("msgspec==0.22.0\n")  # without its hashes
    with pytest.raises(PackageFailed, match="pip could not install"):
        build(tmp_path, tmp_path / "made")
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "broken.py").write_text("def\n")
    with pytest.raises(PackageFailed, match="Not everything compiles"):
        build(tmp_path, tmp_path / "made")


@pytest.fixture(scope="module")
def empty(folder: Path) -> Path:
    """A Python with nothing but what Azure's worker brings: the runtime itself."""
    venv.create(folder / "empty", with_pip=False)
    python = environment_python(folder / "empty")
    shown = subprocess.run([python, "-c", "import msgspec"], capture_output=True, text=True)
    assert "No module named 'msgspec'" in shown.stderr
    return python


@pytest.fixture(scope="module")
def runtime(folder: Path) -> Path:
    """The worker's own packages, in a folder of their own, as in Azure."""
    locked = versions((ROOT / "requirements-dev.txt").read_text("utf-8"))
    wanted = f"azure-functions-runtime=={locked['azure-functions-runtime']}"
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target"]
    subprocess.run([*command, str(folder / "runtime"), wanted], check=True)
    return folder / "runtime"


async def test_a_turn_runs_from_it_where_nothing_else_is(
    unpacked: Path, empty: Path, runtime: Path
):
    before = files(unpacked)
    async with running_simulator(api_key="k") as model, running_storage() as storage:
        env = {
            "AZURE_OPENAI_ENDPOINT": model.url,
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_API_KEY": "k",
            "CHAT_STORAGE": storage.connection_string,
            "CHAT_AUTH": "anonymous",
            "PYTHONPATH": os.pathsep.join((str(unpacked / SITE_PACKAGES), str(runtime))),
            "PYTHONNOUSERSITE": "1",
        }
        hosting = running_host(unpacked, env=env, inherit_env=False, python=empty)
        timeout = aiohttp.ClientTimeout(total=30)
        async with hosting as host, aiohttp.ClientSession(timeout=timeout) as session:
            api = Api(session, host.url)
            async with asyncio.timeout(60):
                first = await api.chat("[simulate: say text=packed]", conversationId="a" * 16)
                again = await api.messages("a" * 16)
    assert first.answer == "packed"
    assert again == [("user", "[simulate: say text=packed]"), ("assistant", "packed")]
    # All bytecode was there: nothing was compiled.
    assert files(unpacked) == before
