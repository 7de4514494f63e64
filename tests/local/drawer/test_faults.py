"""The catalogue: it has every fault of the simulator, and the simulator takes each."""

from typing import get_args

import pytest

from local.drawer.faults import BY_NAME, FAULTS, NO_FAULTS, Fault, fault_of
from local.simulator.behaviour import Behaviour, Cut, Say
from tests.local.drawer.conftest import Local


def test_every_kind_of_behaviour_is_a_fault_here_or_said_to_be_none():
    kinds = set(get_args(Behaviour))
    listed = {type(fault.behaviour) for fault in FAULTS}
    assert listed | set(NO_FAULTS) == kinds
    assert not listed & set(NO_FAULTS)
    assert all(NO_FAULTS.values())


def test_names_and_titles_are_told_apart():
    assert len(BY_NAME) == len(FAULTS)
    assert len({fault.title for fault in FAULTS}) == len(FAULTS)
    assert len({repr(fault.behaviour) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_each_can_be_armed_and_is_known_again(local: Local, fault: Fault):
    assert fault.about.endswith(".")
    armed = [{"name": fault.name, "title": fault.title}]
    assert await local.do("POST", f"faults/{fault.name}") == {"armed": armed}
    assert (await local.get("state"))["armed"] == armed
    [queued] = await local.simulator.scripted()
    assert queued.behaviour == (fault.behaviour,)
    assert queued.times == 1


def test_what_others_queue_is_no_fault_of_the_catalogue():
    assert fault_of((Say("x"),)) is None
    assert fault_of((Cut(after=12), Say("x"))) is None
