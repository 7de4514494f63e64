"""The composition root: what it opens, what it refuses, and what it says of its readiness."""

import asyncio
import gc
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from shared.errors import (
    FieldLocked,
    InvalidRequest,
    Misconfigured,
    ModelRefused,
    StoreUnavailable,
    Unauthenticated,
)
from shared.history.counters import Counters
from shared.messages import Caller, ChatRequest
from shared.models.completions import ChatCompletions
from shared.models.failover import FailOver
from shared.services import READINESS_SECONDS, Services, quiet_sdks
from shared.settings import IdentitySettings, Settings
from shared.turns.turns import Turns
from tests.turns.clock_loop import in_virtual_time

SETTINGS = {
    "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
    "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
    "AZURE_OPENAI_API_KEY": "k",
    "CHAT_STORAGE": "UseDevelopmentStorage=true",
    "CHAT_CONNECTIONS": "OTHER KEYLESS",
    "OTHER__kind": "openai",
    "OTHER__endpoint": "http://127.0.0.1:9/v1",
    "KEYLESS__endpoint": "http://127.0.0.1:9",
    "CHAT_CALLER_FIELDS": "connection,model",
}


class Broken(Mapping[str, str]):
    """An environment that cannot be read at all."""

    def __getitem__(self, name: str) -> str:
        raise RuntimeError("secret")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("secret")

    def __len__(self) -> int:
        return 1


def services(root: Path, without: str = "", **settings: str) -> Services:
    values = SETTINGS | settings
    values.pop(without, None)
    return Services(Settings(values), root)


def prepared(made: Services, **fields: str) -> tuple[str, str]:
    """The model that is asked, and the name of the connection it is asked on."""
    prompt, model, _ = made.prepare(ChatRequest(user_prompt="Hello", **fields))  # type: ignore[arg-type]
    assert isinstance(model, ChatCompletions)
    return prompt.model, model._connection.name


@pytest.fixture
def with_actions(tmp_path: Path) -> Path:
    actions = {
        "small": {"model": "small", "callerFields": ["connection", "model"]},
        "other": {"connection": "OTHER", "model": "m"},
        "lost": {"connection": "NOWHERE"},
        "bare": {"connection": "OTHER"},
    }
    (tmp_path / "actions.json").write_text(json.dumps(actions), encoding="utf-8")
    return tmp_path


async def test_which_model_is_asked_on_which_connection(with_actions: Path) -> None:
    made = services(with_actions, OTHER__model="others-own")
    assert prepared(made) == ("chat", "AZURE_OPENAI")
    assert prepared(made, model="mine") == ("mine", "AZURE_OPENAI")
    assert prepared(made, connection="OTHER") == ("others-own", "OTHER")
    assert prepared(made, connection="OTHER", model="mine") == ("mine", "OTHER")
    assert prepared(made, action="small") == ("small", "AZURE_OPENAI")
    assert prepared(made, action="small", model="mine") == ("mine", "AZURE_OPENAI")
    assert prepared(made, action="small", connection="OTHER") == ("others-own", "OTHER")
    assert prepared(made, action="other") == ("m", "OTHER")
    await made.aclose()


async def test_what_is_refused_before_anything_is_asked(with_actions: Path) -> None:
    made = services(with_actions)
    with pytest.raises(InvalidRequest, match="default, small"):
        prepared(made, action="none")
    with pytest.raises(FieldLocked):
        prepared(made, system_prompt="x")
    with pytest.raises(InvalidRequest, match="OTHER") as raised:
        prepared(made, connection="NOWHERE")
    assert raised.value.problems[0].field == "connection"
    with pytest.raises(Misconfigured, match=r"actions\.json, lost\.connection: CHAT_CONNECTIONS"):
        prepared(made, action="lost")
    with pytest.raises(Misconfigured, match="OTHER__model"):
        prepared(made, action="bare")
    with pytest.raises(Misconfigured, match="AZURE_OPENAI_CHAT_DEPLOYMENT"):
        prepared(services(with_actions, "AZURE_OPENAI_CHAT_DEPLOYMENT"))
    await made.aclose()


async def test_a_connection_has_one_client_and_an_identity_one_source_of_tokens(
    tmp_path: Path,
) -> None:
    made = services(tmp_path, KEYLESS__model="m", CHAT_STORAGE__accountName="")
    models = {
        id(made.prepare(ChatRequest(user_prompt="x", connection=name))[1])
        for name in ("KEYLESS", "AZURE_OPENAI", "KEYLESS", "AZURE_OPENAI")
    }
    assert len(models) == 2
    assert made.backends.credential(IdentitySettings()) is made.backends.credential(
        IdentitySettings()
    )
    other = made.backends.credential(IdentitySettings(managed=True))
    assert other is not made.backends.credential(IdentitySettings())
    assert made.turns is made.turns
    assert made.store is made.store
    await made.aclose()


async def test_a_connection_with_a_fallback_shares_the_clients_of_its_chain(tmp_path: Path) -> None:
    made = services(tmp_path, AZURE_OPENAI__fallback="OTHER", OTHER__model="m")
    _, chained, _ = made.prepare(ChatRequest(user_prompt="x"))
    assert isinstance(chained, FailOver)
    assert made.prepare(ChatRequest(user_prompt="x"))[1] is chained
    _, alone, _ = made.prepare(ChatRequest(user_prompt="x", connection="OTHER"))
    assert isinstance(alone, ChatCompletions)
    assert [client.connection.name for client in chained._chain] == ["AZURE_OPENAI", "OTHER"]
    assert chained._chain[1] is alone
    await made.aclose()


async def test_closing_what_was_never_opened(tmp_path: Path) -> None:
    made = services(tmp_path)
    await made.aclose()
    assert "store" not in vars(made)


async def test_work_in_the_background_that_fails_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing() -> None:
        raise StoreUnavailable("The history is away.")

    made = services(tmp_path)
    task = made.in_background(failing())
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert "The history is away." in caplog.text
    await made.aclose()


async def test_closing_ends_work_in_the_background(tmp_path: Path) -> None:
    made = services(tmp_path)
    task = made.in_background(asyncio.Event().wait())
    await made.aclose()
    assert task.cancelled()


async def test_a_store_with_an_identity_is_opened_with_the_apps_own(tmp_path: Path) -> None:
    made = services(tmp_path, "CHAT_STORAGE", CHAT_STORAGE__accountName="acc")
    assert made.store is made.store
    assert len(made.backends._credentials) == 1
    await made.aclose()


def test_actions_that_cannot_be_read(tmp_path: Path) -> None:
    assert [action.name for action in services(tmp_path).actions] == ["default"]
    (tmp_path / "actions.json").mkdir()
    with pytest.raises(Misconfigured, match=r"actions\.json cannot be read"):
        list(services(tmp_path).actions)


def test_who_calls(tmp_path: Path) -> None:
    assert services(tmp_path).caller([]) == Caller()
    assert services(tmp_path).caller(["x"]) == Caller()
    with pytest.raises(Unauthenticated):
        services(tmp_path, CHAT_AUTH="easyauth", WEBSITE_AUTH_ENABLED="True").caller([])
    with pytest.raises(Unauthenticated, match="more than once"):
        services(tmp_path).caller(["x", "x"])


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    made = Services(Settings(Broken()), tmp_path)
    with pytest.raises(RuntimeError):
        made.caller([])


async def test_a_budget_is_there_where_a_limit_is_set(tmp_path: Path) -> None:
    made = services(tmp_path)
    assert made.budget is None
    assert made.turns._budget is None
    assert "rows" not in vars(made)
    made = services(tmp_path, CHAT_DAILY_TOKENS="5")
    assert isinstance(made.budget, Counters)
    assert made.turns._budget is made.budget
    assert made.budget._rows is made.rows
    await made.aclose()


@pytest.mark.parametrize(
    "name", ["CHAT_MAX_BODY_BYTES", "CHAT_MODEL_TIMEOUT_SECONDS", "CHAT_DAILY_TOKENS"]
)
async def test_wrong_limits_are_told_when_turns_are_needed(tmp_path: Path, name: str) -> None:
    made = services(tmp_path, **{name: "x"})
    with pytest.raises(Misconfigured, match=name):
        assert isinstance(made.turns, Turns)


def unready(made: Services) -> dict[str, str]:
    """What does not work, by part. Nothing of it may reach a network."""
    found: dict[str, str] = {}

    @in_virtual_time
    async def ask() -> None:
        for failure in await made.readiness():
            assert failure["code"] == "misconfigured"
            found[failure["part"]] = failure["detail"]

    ask()
    return found


def test_everything_that_is_wrong_is_named(tmp_path: Path) -> None:
    found = unready(Services(Settings({}), tmp_path))
    assert found.keys() == {"store", "model"}
    assert "CHAT_STORAGE" in found["store"]
    assert "AZURE_OPENAI_ENDPOINT" in found["model"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"CHAT_AUTH": "x"}, "CHAT_AUTH"),
        ({"CHAT_MAX_BODY_BYTES": "x"}, "CHAT_MAX_BODY_BYTES"),
        ({"CHAT_DAILY_TOKENS": "x"}, "CHAT_DAILY_TOKENS"),
        ({"CHAT_REQUESTS_PER_MINUTE": "5"}, "CHAT_REQUESTS_PER_MINUTE"),
        ({"CHAT_ALLOWED_ORIGINS": "*"}, "CHAT_ALLOWED_ORIGINS"),
        ({"CHAT_RETENTION_DAYS": "30"}, "CHAT_RETENTION_DAYS"),
        ({"CHAT_CALLER_FIELDS": "x"}, "CHAT_CALLER_FIELDS"),
        ({"CHAT_CONNECTIONS": "OTHER NEW"}, "NEW__endpoint"),
        ({"OTHER__kind": "x"}, "OTHER__kind"),
        ({"AZURE_OPENAI_CHAT_DEPLOYMENT": ""}, "AZURE_OPENAI_CHAT_DEPLOYMENT"),
        ({"KEYLESS__fallback": "NOWHERE"}, "KEYLESS__fallback"),
    ],
)
async def test_a_wrong_setting_that_no_part_needed_yet(
    tmp_path: Path, settings: dict[str, str], named: str
) -> None:
    with pytest.raises(Misconfigured, match=named):
        await services(tmp_path, **settings)._check_settings()
    await services(tmp_path)._check_settings()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"options": {"top_p": 1, "safe_prompt": True}},
            r"actions\.json, x: The action sets options\.safe_prompt: a connection of the kind "
            "azure_openai does not take it",
        ),
        ({"connection": "NOWHERE"}, r"actions\.json, x\.connection: .*AZURE_OPENAI, OTHER"),
        ({"connection": "OTHER"}, "OTHER__model"),
    ],
)
async def test_an_action_that_could_answer_nobody(
    tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    (tmp_path / "actions.json").write_text(json.dumps({"x": fields}), encoding="utf-8")
    with pytest.raises(Misconfigured, match=said):
        await services(tmp_path)._check_settings()


async def test_an_identity_that_gives_no_token_is_the_set_ups_fault(tmp_path: Path) -> None:
    made = services(tmp_path)
    identity = IdentitySettings()
    await made.backends.credential(identity).aclose()
    with pytest.raises(ModelRefused, match="KEYLESS__credential"):
        await made.backends.token(made.settings.connection("KEYLESS"))


@in_virtual_time
async def test_readiness_is_asked_once_in_ten_seconds_whoever_asks() -> None:
    environment: dict[str, str] = {}
    made = Services(Settings(environment), Path("nowhere"))
    both = await asyncio.gather(made.readiness(), made.readiness())
    assert both[0] is both[1]
    environment["CHAT_STORAGE_TABLE"] = "a-b"
    await asyncio.sleep(READINESS_SECONDS - 1)
    assert await made.readiness() is both[0]
    await asyncio.sleep(2)
    assert "CHAT_STORAGE_TABLE" in (await made.readiness())[0]["detail"]
    assert made._background == set()


@in_virtual_time
async def test_a_caller_who_leaves_does_not_end_the_probe() -> None:
    made = Services(Settings({}), Path("nowhere"))
    asking = asyncio.ensure_future(made.readiness())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert len(await made.readiness()) == 2


def test_warming_up_needs_a_loop(tmp_path: Path) -> None:
    made = services(tmp_path)
    made.start()
    assert made._background == set()


@pytest.mark.parametrize("broken", [False, True])
async def test_warming_up_never_fails(
    tmp_path: Path, broken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    made = Services(Settings(Broken() if broken else {}), tmp_path)
    try:
        made.start()
        await asyncio.gather(*made._background)
    finally:
        gc.unfreeze()
    assert ("Warming up failed" in caplog.text) == broken


def test_the_sdks_are_quiet() -> None:
    quiet_sdks()
    assert not logging.getLogger("azure").isEnabledFor(logging.INFO)
