"""Turns on two instances over one store: whatever happens to them, what callers rely on holds.

A `ClockLoop` of the machine's own stands still between its rules; time passes only by a rule. Every
run is the same run. `PROPERTY_EXAMPLES=5000` in the environment makes so many random ones instead.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.errors import (
    ChatError,
    ContentFiltered,
    ModelBrokeOff,
    ModelRefused,
    ModelUnavailable,
)
from shared.events import BEGINNING, Delta, Reasoning
from shared.history.base import Place
from tests.turns.chronicle import Life
from tests.turns.network import Fault
from tests.turns.players import Ask, Node, SpokenModel, Watcher
from tests.turns.world import World

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))
FAILURES: dict[str, Callable[[], ChatError]] = {
    "refused": lambda: ModelRefused("no"),
    "unavailable": lambda: ModelUnavailable("not now"),
    "broke off": lambda: ModelBrokeOff("gone"),
    "filtered": lambda: ContentFiltered("not that"),
}
BEHAVIOURS = ("speaks", "speaks", "answers", "answers", "silent", "refuses", "refuses late")


def among(choices: Callable[["TurnMachine"], Sequence[Any]]) -> st.SearchStrategy[Any]:
    return st.runner().flatmap(lambda machine: st.sampled_from(choices(machine)))


def any_of(choices: Callable[["TurnMachine"], Sequence[Any]]) -> Callable[[Any], Any]:
    return precondition(lambda machine: bool(choices(machine)))


def open_models(machine: "TurnMachine") -> list[SpokenModel]:
    return machine.world.open_models()


def waiting(machine: "TurnMachine") -> list[Ask]:
    return machine.world.waiting()


def attached(machine: "TurnMachine") -> list[Watcher]:
    return [w for w in machine.world.watchers if w.attached]


def named(machine: "TurnMachine") -> list[Ask]:
    """Those who know a turn's id, the latest first, and first those who began it."""
    known = [a for a in reversed(machine.world.asks) if a.turn_id is not None]
    began = [a for a in known if a.life is not None][:6]
    return began + [a for a in known if a.life is None][:2]


def seen_turns(machine: "TurnMachine") -> list[tuple[Place, str]]:
    return list(dict.fromkeys((w.place, w.turn_id) for w in reversed(machine.world.watchers)))[:6]


def newest(machine: "TurnMachine") -> list[Life]:
    """The last turn of each conversation, and one that is not the last."""
    there = [life for life in reversed(machine.world.chronicle.lives) if life.removed is None]
    last = {life.place: life for life in reversed(there)}
    return [*last.values(), *there[1:2]]


def nodes(machine: "TurnMachine") -> list[Node]:
    return machine.world.nodes


def places(machine: "TurnMachine") -> list[Place]:
    return machine.world.places


node = among(nodes)
place = among(places)
behaviour = st.sampled_from(BEHAVIOURS)
on_disconnect = st.sampled_from(("finish", "cancel"))


class TurnMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    # What happens

    @initialize(skews=st.tuples(*[st.sampled_from((0, 2000, -2000))] * 2))
    def two_instances(self, skews: tuple[int, int]) -> None:
        self.world.nodes = [
            Node(f"{letter}1", self.world.chronicle, skew)
            for letter, skew in zip("AB", skews, strict=True)
        ]

    @rule(node=node, place=place, behaviour=behaviour, on_disconnect=on_disconnect)
    def ask(self, node: Node, place: Place, behaviour: str, on_disconnect: str) -> None:
        self.world.ask(node, place, self.world.new_turn(), behaviour, on_disconnect=on_disconnect)

    @rule(node=node, place=place, behaviour=behaviour)
    def ask_without_a_name(self, node: Node, place: Place, behaviour: str) -> None:
        self.world.ask(node, place, None, behaviour)

    @any_of(named)
    @rule(node=node, first=among(named), same=st.sampled_from((True, True, False)))
    def ask_again(self, node: Node, first: Ask, same: bool) -> None:
        fields = dict(first.fields)
        if not same:
            fields["prompt"] += "!"
        self.world.ask(node, first.place, first.turn_id, "speaks", **fields)

    @any_of(newest)
    @rule(node=node, replaced=among(newest), behaviour=behaviour)
    def replace(self, node: Node, replaced: Life, behaviour: str) -> None:
        self.world.ask(
            node, replaced.place, self.world.new_turn(), behaviour, replaces=replaced.turn_id
        )

    @any_of(open_models)
    @rule(model=among(open_models), kinds=st.sampled_from(("d", "d", "r", "dd", "rd", "dr")))
    def speak(self, model: SpokenModel, kinds: str) -> None:
        model.speak(*(Delta if kind == "d" else Reasoning for kind in kinds))
        self.world.settle()

    @any_of(open_models)
    @rule(
        model=among(open_models),
        reason=st.sampled_from(("stop", "length", "content_filter", "tool_calls", None)),
    )
    def finish(self, model: SpokenModel, reason: str | None) -> None:
        model.finish(reason)
        self.world.settle()

    @any_of(open_models)
    @rule(model=among(open_models), failure=st.sampled_from((*FAILURES, "ends without a reason")))
    def fail(self, model: SpokenModel, failure: str) -> None:
        if failure in FAILURES:
            model.fail(FAILURES[failure]())
        else:
            model.end()
        self.world.settle()

    @any_of(named)
    @rule(node=node, turn=among(named))
    def attach(self, node: Node, turn: Ask) -> None:
        self.world.let(
            node, self.world.attach(node, turn.place, turn.turn_id or "", BEGINNING, False)
        )

    @any_of(seen_turns)
    @rule(node=node, turn=among(seen_turns), which=st.integers(0, 7), whole=st.booleans())
    def attach_after(self, node: Node, turn: tuple[Place, str], which: int, whole: bool) -> None:
        """The position that was seen last, or one of those before it."""
        of = [w for w in self.world.watchers if (w.place, w.turn_id) == turn]
        seen = sorted({position for w in of for position in w.positions}, reverse=True)
        if seen:
            self.world.let(node, self.world.attach(node, *turn, seen[which % len(seen)], whole))

    @any_of(attached)
    @rule(watcher=among(attached))
    def leave(self, watcher: Watcher) -> None:
        self.world.loop.call_soon(watcher.leave)
        self.world.settle()

    @any_of(waiting)
    @rule(ask=among(waiting))
    def hang_up(self, ask: Ask) -> None:
        ask.task.cancel()
        self.world.settle()

    @any_of(named)
    @rule(node=node, turn=among(named), stop=st.booleans())
    def stop_or_look(self, node: Node, turn: Ask, stop: bool) -> None:
        what = self.world.stop if stop else self.world.look
        self.world.let(node, what(node, turn.place, turn.turn_id or ""))

    @any_of(lambda machine: machine.world.chronicle.lives)
    @rule(node=node, place=place, how=st.sampled_from(("rename", "rename again", "delete")))
    def change(self, node: Node, place: Place, how: str) -> None:
        if how != "delete":
            self.world.let(node, self.world.rename(node, place, how))
            return
        self.world.let(node, self.world.delete(node, place))
        # Another one takes its place; the deleted one is still asked for now and then.
        self.world.places = [
            *[p for p in self.world.places if p != place],
            place,
            *[Place("me", f"c{len(set(self.world.places)) + 1}")] * 2,
        ]

    @any_of(lambda machine: machine.world.asks)
    @rule(node=node, state=st.sampled_from(("down", "silent")))
    def break_store(self, node: Node, state: Any) -> None:
        node.net.state = state

    @any_of(lambda machine: [n for n in machine.world.nodes if n.net.state != "well"])
    @rule(node=among(lambda machine: [n for n in machine.world.nodes if n.net.state != "well"]))
    def recover_store(self, node: Node) -> None:
        node.net.recover()

    @rule(
        node=node,
        fault=st.sampled_from(("lost", "conflict", "sent twice", "late", "very late")),
    )
    def spoil_next_write(self, node: Node, fault: Fault) -> None:
        node.net.faults.append(fault)

    @rule(
        node=node,
        trip=st.sampled_from(((0.0, 0.0), (0.01, 0.01), (0.5, 0.1), (0.1, 2.0), (2.0, 0.1))),
    )
    def slow_down(self, node: Node, trip: tuple[float, float]) -> None:
        """How long a request, and its reply, are on their way from now on."""
        if node.net.there + node.net.back > 0.1:
            node.net.failed = self.world.loop.time()
        node.net.there, node.net.back = trip

    @any_of(lambda machine: machine.world.asks)
    @rule(node=node, kill=st.booleans())
    def go_away(self, node: Node, kill: bool) -> None:
        """It dies, or closes; another one takes its place."""
        self.world.give_way(node)
        if kill:
            node.kill(self.world.loop)
        else:
            node.closing = node.run(self.world.loop, node.turns.aclose())
            self.world.settle()

    @any_of(lambda machine: machine.world.asks)
    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 2.5, 6.0)))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @any_of(lambda machine: machine.world.asks)
    @rule(seconds=st.sampled_from((11.0, 22.0, 31.0, 60.0)))
    def wait_long(self, seconds: float) -> None:
        self.world.wait(seconds)

    @any_of(lambda machine: machine.world.asks)
    @rule(seconds=st.sampled_from((1.0, 10.0, 21.0, 26.0, 60.0)))
    def pause(self, seconds: float) -> None:
        """The whole process stands still."""
        self.world.loop.pause(seconds)
        self.world.paused = self.world.loop.time()
        self.world.settle()

    # What must hold

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            if not self.world.broken:
                self.world.come_to_an_end()
        finally:
            self.world.close()


def test_whatever_happens_to_turns_on_two_instances() -> None:
    run_state_machine_as_test(
        TurnMachine,
        settings=settings(
            max_examples=EXAMPLES or 60,
            stateful_step_count=40,
            derandomize=not EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
