"""What the simulator says where no directive tells it."""

import json
from typing import Any

import pytest

from local.simulator import Simulator
from local.simulator.documents import Library, sections_of
from tests.local.simulator.conftest import README
from tests.local.simulator.support import ask, body_of, tell


def conversation(*turns: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)]
    return {"model": "chat", "messages": messages, "stream": True}


async def test_it_answers_from_the_documents(simulator: Simulator) -> None:
    reply = await tell(simulator, "How do I do the calibration of the station?")
    assert reply.text() == (
        "Turn the screw until the needle rests at zero.\n\n"
        "```\n# not a heading\nstation calibrate --zero\n```\n\n"
        "Source: *README.md*, “Calibration”."
    )


async def test_it_reads_the_docs_folder(simulator: Simulator) -> None:
    assert (
        "Source: *docs/radio.md*, “Radio”." in (await tell(simulator, "What about radio?")).text()
    )


async def test_it_says_that_it_is_a_simulator(simulator: Simulator) -> None:
    text = (await tell(simulator, "Hello!")).text()
    assert "**model simulator**" in text
    assert "nothing" not in text
    assert text.endswith("I was sent 1 message with this request.")
    text = (await tell(simulator, "Who composed the Moonlight Sonata?")).text()
    assert "I found nothing about that." in text
    assert "*Calibration*" in text


@pytest.mark.parametrize(
    "question",
    [
        "What did I say before?",
        "what did I ask you first",
        "What was my last question?",
        "Do you remember?",
    ],
)
async def test_it_quotes_the_history(simulator: Simulator, question: str) -> None:
    body = conversation("My name is Ada.\nReally.", "Hello Ada.", "And I like tea.", "Fine.")
    body["messages"].append({"role": "user", "content": question})
    body["messages"].insert(0, {"role": "system", "content": "A secret."})
    assert (await ask(simulator, body)).text() == (
        "Before this you said:\n\n1. > My name is Ada.\n> Really.\n2. > And I like tea.\n\n"
        "I was sent 6 messages with this request."
    )


async def test_no_history(simulator: Simulator) -> None:
    text = (await tell(simulator, "What did I say before?")).text()
    assert text.startswith("Nothing before this, as far as I can see.")


async def test_context_comes_first(simulator: Simulator) -> None:
    prompt = (
        "Context:\n[1] Boats\nA dinghy has oars.\n\n[2] Calibration by hand\nUse a feather.\n\n"
        "How does the calibration work?"
    )
    assert (await tell(simulator, prompt)).text() == (
        "Use a feather.\n\nThis is from [2] Calibration by hand."
    )


async def test_numbered_documents_are_all_that_is_known(simulator: Simulator) -> None:
    prompt = "Context:\n[1] Bees\nThey dance.\n\nFor long.\n\nWhich batteries last?"
    said = (await tell(simulator, prompt)).text()
    assert said == "The documents that I was given do not say that."
    long = (await tell(simulator, prompt.replace("Which batteries last", "How long"))).text()
    assert long == "For long.\n\nThis is from [1] Bees."


async def test_a_follow_up_question_is_rewritten(simulator: Simulator) -> None:
    said = "Conversation:\nUser: Where is the office?\nAssistant: In Bern.\n\nNext message:\n"
    assert (await tell(simulator, said + "When does it open?")).text() == (
        "When does it open? (Where is the office?)"
    )
    assert (await tell(simulator, said + "Which batteries last?")).text() == (
        "Which batteries last?"
    )


async def test_context_as_plain_text(simulator: Simulator) -> None:
    prompt = "Context:\nOwls hunt at night.\n\nBees dance.\n\nWhat do owls do at night?"
    assert (await tell(simulator, prompt)).text() == (
        "Owls hunt at night.\n\nThis is from the context."
    )


async def test_context_that_does_not_help(simulator: Simulator) -> None:
    text = (await tell(simulator, "Context:\nBees dance.\n\nWhich batteries last?")).text()
    assert "“Batteries”" in text


async def test_content_in_parts(simulator: Simulator) -> None:
    parts = [{"type": "text", "text": "Which batteries"}, {"type": "text", "text": "last?"}]
    body = body_of("", messages=[{"role": "user", "content": parts}])
    assert "“Batteries”" in (await ask(simulator, body)).text()


async def test_json_where_json_is_wanted(simulator: Simulator) -> None:
    reply = await tell(simulator, "Batteries?", response_format={"type": "json_object"})
    assert list(json.loads(reply.text())) == ["answer"]


async def test_a_tool_directive_without_tools_is_no_call(simulator: Simulator) -> None:
    reply = await tell(simulator, "Batteries? [simulate: tool name=look]")
    assert (reply.finish_reason(), "“Batteries”" in reply.text()) == ("stop", True)


async def test_open_reasoning(simulator: Simulator) -> None:
    options = {"include_usage": True}
    reply = await tell(simulator, "Batteries?", model="reasoning-open", stream_options=options)
    assert reply.text("reasoning_content").startswith(" The user wants")
    details = reply.events()[-1]["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] > 0


def test_sections() -> None:
    found = [(section.title, len(section.text) > 0) for section in sections_of("a.md", README)]
    assert found == [("Weather station", True), ("Calibration", True), ("Batteries", True)]


def test_an_empty_library_finds_nothing() -> None:
    library = Library([])
    assert (library.find("batteries"), library.titles(3)) == (None, [])


async def test_this_projects_own_documents() -> None:
    from local.simulator import running_simulator

    async with running_simulator() as own:
        text = (await tell(own, "How does the simulator's control API work?")).text()
    assert "docs/simulator.md" in text
