"""OpenAI's own SDK against the simulator, in each of the ways to reach it."""

from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, BadRequestError

from local.identity import running_identity
from local.simulator import Simulator
from local.simulator.models import KINDS

DATED = "2024-10-21"


@pytest.fixture(params=["v1", "dated", "openai"])
async def client(
    request: pytest.FixtureRequest, simulator: Simulator
) -> AsyncIterator[AsyncOpenAI]:
    made: AsyncOpenAI
    match request.param:
        case "v1":
            made = AsyncOpenAI(base_url=simulator.azure_v1_url, api_key="k", max_retries=0)
        case "dated":
            made = AsyncAzureOpenAI(
                azure_endpoint=simulator.url, api_version=DATED, api_key="k", max_retries=0
            )
        case _:
            made = AsyncOpenAI(base_url=simulator.openai_url, api_key="sk-k", max_retries=0)
    async with made:
        yield made


async def test_stream(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": '[simulate: say text="One two three."]'}],
        stream=True,
        stream_options={"include_usage": True},
        temperature=0.7,
    )
    text, reasons, usage = "", [], None
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons.append(choice.finish_reason)
    assert text == "One two three."
    assert [reason for reason in reasons if reason] == ["stop"]
    assert usage is not None
    assert usage.completion_tokens == 4


async def test_whole(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="reasoning",
        messages=[{"role": "user", "content": '[simulate: say text="Yes."]'}],
        max_completion_tokens=500,
    )
    assert answer.choices[0].message.content == "Yes."
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 64


async def test_streamed_tool_calls(client: AsyncOpenAI) -> None:
    prompt = (
        '[simulate: tool name=weather arguments="{\\"city\\": \\"Köln\\"}"]'
        "[simulate: tool name=time]"
    )
    names = ("weather", "time")
    async with client.chat.completions.stream(
        model="chat",
        messages=[{"role": "user", "content": prompt}],
        tools=[{"type": "function", "function": {"name": name}} for name in names],
    ) as stream:
        completion = await stream.get_final_completion()
    message = completion.choices[0].message
    assert completion.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    calls = [(call.function.name, call.function.arguments) for call in message.tool_calls]
    assert calls == [("weather", '{"city": "Köln"}'), ("time", "{}")]
    answer = await client.chat.completions.create(
        model="chat",
        messages=[
            {"role": "user", "content": prompt},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {
                            "name": call.function.name,
                            "arguments": call.function.arguments,
                        },
                    }
                    for call in message.tool_calls
                ],
            },
            *(
                {"role": "tool", "tool_call_id": call.id, "content": f"result {n}"}  # type: ignore[list-item]
                for n, call in enumerate(message.tool_calls)
            ),
        ],
        tools=[{"type": "function", "function": {"name": name}} for name in names],
    )
    assert answer.choices[0].message.content == "The tools said:\n\n> result 0\n> result 1"


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("status code=400", openai.BadRequestError),
        ("status code=401", openai.AuthenticationError),
        ("status code=403", openai.PermissionDeniedError),
        ("status code=404", openai.NotFoundError),
        ("status code=429", openai.RateLimitError),
        ("status code=500", openai.InternalServerError),
        ("html code=502", openai.InternalServerError),
        ("error after=1", openai.APIError),
    ],
)
async def test_errors(client: AsyncOpenAI, directive: str, error: type[Exception]) -> None:
    async def read() -> None:
        stream = await client.chat.completions.create(
            model="chat",
            messages=[{"role": "user", "content": f"[simulate: {directive}]"}],
            stream=True,
        )
        async for _ in stream:
            pass

    with pytest.raises(error):
        await read()


async def test_retry_after_is_honoured_by_the_sdk(simulator: Simulator) -> None:
    await simulator.script({"kind": "status", "code": 429, "retry_after_ms": 1})
    async with AsyncOpenAI(base_url=simulator.azure_v1_url, api_key="k") as client:
        answer = await client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": '[simulate: say text="Ok"]'}]
        )
    assert answer.choices[0].message.content == "Ok"
    first, second = await simulator.requests()
    assert (first.outcome, second.outcome) == ("status 429", "stop")
    assert second.headers["x-stainless-retry-count"] == "1"


async def test_models_are_listed(simulator: Simulator) -> None:
    for url in (simulator.azure_v1_url, simulator.openai_url, simulator.mistral_url):
        async with AsyncOpenAI(base_url=url, api_key="k") as client:
            names = [model.id async for model in client.models.list()]
        assert names == sorted(KINDS)


async def test_managed_identity_opens(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.identity.aio import ManagedIdentityCredential, get_bearer_token_provider

    async with running_identity() as identity:
        for name, value in identity.env().items():
            monkeypatch.setenv(name, value)
        async with ManagedIdentityCredential() as credential:
            scope = "https://cognitiveservices.azure.com/.default"
            provider = get_bearer_token_provider(credential, scope)
            async with AsyncOpenAI(base_url=simulator.azure_v1_url, api_key=provider) as client:
                answer = await client.chat.completions.create(
                    model="chat", messages=[{"role": "user", "content": "[simulate: echo]"}]
                )
    assert answer.choices[0].finish_reason == "stop"
    [record] = await simulator.requests()
    assert record.authentication.kind == "token"
    assert record.authentication.audience == "https://cognitiveservices.azure.com"


async def test_embeddings_in_every_style(simulator: Simulator) -> None:
    texts = ["the office opens at nine", "when does the office open?", "pears and figs"]
    for url, model in (
        (simulator.azure_v1_url, "embedding"),
        (simulator.openai_url, "text-embedding-3-small"),
        (simulator.mistral_url, "mistral-embed"),
    ):
        async with AsyncOpenAI(base_url=url, api_key="k") as client:
            whole = await client.embeddings.create(model=model, input=texts)
            plain = await client.embeddings.create(
                model=model, input=texts[0], encoding_format="float"
            )
        office, asked, fruit = (item.embedding for item in whole.data)
        assert (
            len(office)
            == KINDS["mistral-embed" if model == "mistral-embed" else "embedding"].dimensions
        )
        assert plain.data[0].embedding == pytest.approx(office, abs=1e-6)
        assert _cosine(office, asked) > 0.5 > _cosine(office, fruit)
        assert whole.usage.prompt_tokens == whole.usage.total_tokens > 0


def _cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_embeddings_are_refused_as_the_service_does(simulator: Simulator) -> None:
    async with AsyncOpenAI(base_url=simulator.azure_v1_url, api_key="k") as client:
        for fields, words in (
            ({"model": "chat", "input": "x"}, "does not work with the specified model"),
            ({"model": "embedding", "input": []}, "Invalid 'input'"),
            ({"model": "embedding", "input": ["x", ""]}, "empty string"),
            ({"model": "embedding", "input": ["x"] * 2049}, "at most 2048"),
            ({"model": "embedding", "input": "word " * 9000}, "maximum context length is 8192"),
            ({"model": "embedding", "input": ["word " * 8000] * 40}, "300000 tokens"),
            ({"model": "embedding", "input": "x", "dimensions": 1537}, "less than or equal"),
        ):
            with pytest.raises(BadRequestError, match=words):
                await client.embeddings.create(**fields)
        with pytest.raises(BadRequestError, match="chatCompletion operation"):
            await client.chat.completions.create(
                model="embedding", messages=[{"role": "user", "content": "x"}]
            )
