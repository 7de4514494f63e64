"""Plans, faults and spells come from the seed alone; what is planned can be played."""

from collections import Counter
from itertools import islice, pairwise

import pytest

from chaos.ledger import marker_of
from chaos.plan import SCENES, Scene, scenes
from chaos.weather import FINE, Weather
from local.simulator.behaviour import Say
from local.simulator.directives import take_directives


def some(seed: str = "s", caller: int = 0, *, brisk: bool = False, most: int = 1500) -> list[Scene]:
    return list(islice(scenes(seed, caller, 2, brisk=brisk), most))


def test_the_same_seed_plans_the_same_and_another_does_not() -> None:
    assert some(most=50) == some(most=50)
    assert some(most=50) != some("other", most=50)
    assert some(most=50) != some(caller=1, most=50)


def test_every_kind_of_scene_comes_and_its_turns_say_what_it_is() -> None:
    planned = some()
    assert Counter(scene.kind for scene in planned).keys() == SCENES.keys()
    for scene in planned:
        [turn, *others] = scene.turns
        assert bool(others) == (scene.kind == "rivals")
        acts = {doing.kind for doing in turn.doings}
        assert acts <= {"stop", "delete", "rename", "tab", "repeat", "mismatch"}
        assert turn.replaces == (scene.kind == "replace")
        assert bool(turn.at_once) == (scene.kind == "repeat_at_once")
        assert (turn.on_disconnect == "cancel") == (scene.kind == "cancel")
        if scene.kind in ("gone", "cancel"):
            assert [leave.back for leave in turn.leaves] == [False]
    assert planned[0].fresh
    for before, after in pairwise(planned):
        assert after.fresh or before.kind != "delete"


def test_markers_are_unique_and_first_in_the_prompt_that_the_simulator_can_read() -> None:
    turns = [turn for scene in some() for turn in scene.turns]
    assert len({turn.marker for turn in turns}) == len(turns)
    for turn in turns:
        rest, behaviours = take_directives(turn.prompt)
        assert rest == turn.marker == turn.prompt.partition(" ")[0]
        assert Say(turn.text) in behaviours


def test_a_brisk_run_has_no_long_answers() -> None:
    assert max(turn.seconds for scene in some() for turn in scene.turns) > 15
    assert max(turn.seconds for scene in some(brisk=True) for turn in scene.turns) < 8


@pytest.mark.parametrize("where", ["store", "model"])
def test_the_same_seed_brings_the_same_faults_and_none_in_fine_weather(where: str) -> None:
    made = [Weather(where, 0, "s") for _ in range(2)]  # type: ignore[arg-type]
    assert {made[0].fate() for _ in range(100)} == {FINE}
    for weather in made:
        weather.level = 0.5
    fates = [made[0].fate() for _ in range(400)]
    assert fates == [made[1].fate() for _ in range(400)]
    made[0].level = 1.0
    worst = {made[0].fate().kind for _ in range(400)}
    assert not worst & {"pass", "hiccup"}
    assert worst >= {"reset", "lost", "cut", "refuse", "false"}


def test_a_request_is_known_by_its_last_message() -> None:
    body = b'{"messages": [{"role": "user", "content": "c1t1 x"}, {"content": "c1t2 [y]"}]}'
    assert marker_of(body) == "c1t2"
    assert marker_of(b"") is None
