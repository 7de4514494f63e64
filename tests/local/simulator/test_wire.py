"""The very bytes on the wire, for each URL style."""

import re

import pytest

from local.simulator import Simulator
from tests.local.simulator.support import AZURE_DATED, AZURE_V1, OPENAI, ask, body_of, tell

SAFE = (
    '{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},'
    '"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}'
)
PROMPT_SAFE = SAFE.replace(
    '"self_harm"', '"jailbreak":{"detected":false,"filtered":false},"self_harm"'
)
OPENING = (
    'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":'
    '[{"prompt_index":0,"content_filter_results":' + PROMPT_SAFE + "}]}\n\n"
)


def usage(prompt: int, completion: int) -> str:
    return (
        f'{{"completion_tokens":{completion},"completion_tokens_details":'
        '{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":0,'
        f'"rejected_prediction_tokens":0}},"prompt_tokens":{prompt},"prompt_tokens_details":'
        f'{{"audio_tokens":0,"cached_tokens":0}},"total_tokens":{prompt + completion}}}'
    )


USAGE = usage(15, 2)
SAY = '[simulate: say text="Hi \\u2028😀"]'


def normalised(body: bytes) -> str:
    """Replace what differs from one answer to the next."""
    text = re.sub(r'"chatcmpl-[\w-]+"', '"ID"', body.decode())
    text = re.sub(r'"created":[1-9]\d+', '"created":TIME', text)
    text = re.sub(r'"obfuscation":"\w{1,16}"', '"obfuscation":"PAD"', text)
    return re.sub(r'"call_[\w-]{24}"', '"CALL"', text)


def azure(choice: str, more: str = "", obfuscation: str = '"obfuscation":"PAD",') -> str:
    return (
        f'data: {{"choices":[{choice}],"created":TIME,"id":"ID","model":"gpt-4o-mini-2024-07-18",'
        f'{obfuscation}"object":"chat.completion.chunk","system_fingerprint":"fp_5154047bf2"'
        f"{more}}}\n\n"
    )


def azure_choice(delta: str, reason: str = "null", verdict: str = "{}") -> str:
    return (
        f'{{"content_filter_results":{verdict},"delta":{delta},"finish_reason":{reason},"index":0,'
        '"logprobs":null}'
    )


ROLE = azure_choice('{"content":"","refusal":null,"role":"assistant"}')


@pytest.mark.parametrize("path", [AZURE_V1, AZURE_DATED.format("chat")])
async def test_azure_stream(simulator: Simulator, path: str) -> None:
    reply = await ask(simulator, body_of(SAY, stream_options={"include_usage": True}), path=path)
    none = ',"usage":null'
    assert normalised(reply.body) == (
        OPENING
        + azure(ROLE, none)
        + azure(azure_choice('{"content":"Hi"}', verdict=SAFE), none)
        + azure(azure_choice('{"content":" "}', verdict=SAFE), none)
        + azure(azure_choice('{"content":"\u2028"}', verdict=SAFE), none)
        + azure(azure_choice('{"content":"😀"}', verdict=SAFE), none)
        + azure(azure_choice("{}", '"stop"'), none)
        + azure("", ',"usage":' + usage(19, 4))
        + "data: [DONE]\n\n"
    )


async def test_azure_stream_without_usage_and_obfuscation(simulator: Simulator) -> None:
    options = {"include_usage": False, "include_obfuscation": False}
    reply = await tell(simulator, '[simulate: say text="Hi."]', stream_options=options)
    assert normalised(reply.body) == (
        OPENING
        + azure(ROLE, obfuscation="")
        + azure(azure_choice('{"content":"Hi"}', verdict=SAFE), obfuscation="")
        + azure(azure_choice('{"content":"."}', verdict=SAFE), obfuscation="")
        + azure(azure_choice("{}", '"stop"'), obfuscation="")
        + "data: [DONE]\n\n"
    )


async def test_openai_stream(simulator: Simulator) -> None:
    body = body_of('[simulate: say text="Hi."]', stream_options={"include_usage": True})
    reply = await ask(simulator, body, path=OPENAI)

    def chunk(choices: str, counts: str = "null") -> str:
        return (
            'data: {"id":"ID","object":"chat.completion.chunk","created":TIME,'
            '"model":"gpt-4o-mini-2024-07-18","service_tier":"default",'
            f'"system_fingerprint":"fp_5154047bf2","choices":[{choices}],"usage":{counts},'
            '"obfuscation":"PAD"}\n\n'
        )

    def choice(delta: str, reason: str = "null") -> str:
        return f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}'

    assert normalised(reply.body) == (
        chunk(choice('{"role":"assistant","content":"","refusal":null}'))
        + chunk(choice('{"content":"Hi"}'))
        + chunk(choice('{"content":"."}'))
        + chunk(choice("{}", '"stop"'))
        + chunk("", USAGE)
        + "data: [DONE]\n\n"
    )


async def test_azure_whole(simulator: Simulator) -> None:
    reply = await tell(simulator, '[simulate: say text="Hi."]', stream=False)
    assert normalised(reply.body) == (
        '{"choices":[{"content_filter_results":' + SAFE + ',"finish_reason":"stop","index":0,'
        '"logprobs":null,"message":{"annotations":[],"content":"Hi.","refusal":null,'
        '"role":"assistant"}}],"created":TIME,"id":"ID","model":"gpt-4o-mini-2024-07-18",'
        '"object":"chat.completion","prompt_filter_results":[{"prompt_index":0,'
        '"content_filter_results":' + PROMPT_SAFE + '}],"system_fingerprint":"fp_5154047bf2",'
        '"usage":' + USAGE + "}"
    )


async def test_openai_whole(simulator: Simulator) -> None:
    body = body_of('[simulate: say text="Hi."]', stream=False)
    reply = await ask(simulator, body, path=OPENAI)
    assert normalised(reply.body) == (
        '{"id":"ID","object":"chat.completion","created":TIME,"model":"gpt-4o-mini-2024-07-18",'
        '"service_tier":"default","system_fingerprint":"fp_5154047bf2","choices":[{"index":0,'
        '"message":{"role":"assistant","content":"Hi.","refusal":null,"annotations":[]},'
        '"logprobs":null,"finish_reason":"stop"}],"usage":' + USAGE + "}"
    )


async def test_tool_call_deltas(simulator: Simulator) -> None:
    prompt = '[simulate: tool name=look arguments="{\\"a\\":1}"]'
    tools = [{"type": "function", "function": {"name": "look"}}]
    options = {"include_obfuscation": False}
    reply = await tell(simulator, prompt, tools=tools, stream_options=options)
    role = azure_choice('{"content":null,"refusal":null,"role":"assistant"}')
    first = (
        '{"tool_calls":[{"index":0,"id":"CALL","type":"function","function":{"name":"look",'
        '"arguments":""}}]}'
    )

    def more(arguments: str) -> str:
        delta = f'{{"tool_calls":[{{"index":0,"function":{{"arguments":"{arguments}"}}}}]}}'
        return azure(azure_choice(delta), obfuscation="")

    assert normalised(reply.body) == (
        OPENING
        + azure(role, obfuscation="")
        + azure(azure_choice(first), obfuscation="")
        + more('{\\"')
        + more("a")
        + more('\\":')
        + more("1")
        + more("}")
        + azure(azure_choice("{}", '"tool_calls"'), obfuscation="")
        + "data: [DONE]\n\n"
    )


async def test_response_headers(simulator: Simulator) -> None:
    azure_headers = (await tell(simulator, "Hi")).headers
    assert azure_headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert azure_headers["x-ms-region"] == "East US"
    assert azure_headers["x-ms-deployment-name"] == "chat"
    assert re.fullmatch(r"[0-9a-f-]{36}", azure_headers["apim-request-id"])
    assert int(azure_headers["x-ratelimit-remaining-requests"]) > 0
    assert int(azure_headers["x-ratelimit-remaining-tokens"]) > 0
    openai_headers = (await ask(simulator, body_of("Hi"), path=OPENAI)).headers
    assert openai_headers["openai-version"] == "2020-10-01"
    assert "x-ms-region" not in openai_headers


@pytest.mark.parametrize("path", [AZURE_V1, OPENAI])
async def test_several_choices_come_in_turn(simulator: Simulator, path: str) -> None:
    options = {"include_usage": True}
    prompt = '[simulate: reasoning text="so"] [simulate: say text="Hi."]'
    reply = await ask(simulator, body_of(prompt, n=2, stream_options=options), path=path)
    choices = [choice for event in reply.events() for choice in event["choices"]]
    assert [choice["index"] for choice in choices] == [0, 1] * 5
    said = [choice["delta"] for choice in choices if choice["index"] == 1]
    role = {"role": "assistant", "content": "", "refusal": None}
    assert said == [role, {"reasoning_content": "so"}, {"content": "Hi"}, {"content": "."}, {}]
    assert [choice["finish_reason"] for choice in choices[-2:]] == ["stop", "stop"]
    assert reply.events()[-1]["usage"]["completion_tokens"] == 6
    whole = (await ask(simulator, body_of(prompt, n=2, stream=False), path=path)).json()
    assert [choice["index"] for choice in whole["choices"]] == [0, 1]
    assert whole["choices"][0]["message"] == whole["choices"][1]["message"]


@pytest.mark.parametrize("path", [AZURE_V1, OPENAI])
@pytest.mark.parametrize("top", [None, 2])
async def test_log_probabilities(simulator: Simulator, path: str, top: int | None) -> None:
    wanted = {"logprobs": True} | ({"top_logprobs": top} if top else {})
    prompt = '[simulate: say text="Hé."]'
    reply = await ask(simulator, body_of(prompt, **wanted), path=path)
    choices = [choice for event in reply.events() for choice in event["choices"]]
    scored = [choice["logprobs"] for choice in choices]
    assert scored[0] is scored[-1] is None
    [first], [last] = (score["content"] for score in scored[1:-1])
    assert (first["token"], first["bytes"], last["token"]) == ("Hé", [72, 195, 169], ".")
    assert first["logprob"] < 0
    assert len(first["top_logprobs"]) == (top or 0)
    if top:
        assert first["top_logprobs"][0]["token"] == "Hé"
    whole = (await ask(simulator, body_of(prompt, **wanted, stream=False), path=path)).json()
    assert whole["choices"][0]["logprobs"]["content"] == [first, last]
