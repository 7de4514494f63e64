"""Made-up histories: one where all is well, to be spoiled by a test."""

from dataclasses import dataclass, replace

from chaos.findings import Finding
from chaos.history import (
    Act,
    Ask,
    ConversationHistory,
    Disturbance,
    End,
    Fault,
    Final,
    Message,
    Outage,
    Sighting,
    TurnHistory,
    World,
)
from chaos.look import probe
from chaos.plan import Conversation
from chaos.verdict import verdict

TEXT = "m: 000 001 002 003"
USAGE = {"promptTokens": 5, "completionTokens": 9, "totalTokens": 14, "estimated": False}
PLAN = replace(
    probe("c"),
    marker="m",
    name="t",
    text=TEXT,
    prompt="m [simulate: say]",
    seconds=2.0,
)


@dataclass
class Case:
    """A run with one conversation of one turn, which ended with `stop`."""

    world: World
    conversation: ConversationHistory

    @property
    def turn(self) -> TurnHistory:
        return self.conversation.turns[0]

    @property
    def sighting(self) -> Sighting:
        return self.turn.sightings[0]

    @property
    def final(self) -> Final:
        return self.conversation.final

    @property
    def ask(self) -> Ask:
        return self.world.asks[0]

    def store(self, reason: str = "stop", text: str = TEXT, **changes: object) -> None:
        """What the store has of the answer, and what it is told again."""
        question = Message("user", "t", PLAN.prompt)
        answer = Message("assistant", "t", text, "ended", reason, USAGE)
        answer = replace(answer, **changes)  # type: ignore[arg-type]
        self.final.messages = [question, answer]
        self.final.exported = [question, answer]
        again = seen(text, reason, way="post", at=100.0)
        self.turn.replayed = again

    def ended(self, reason: str, text: str = TEXT) -> None:
        """It ended so, in the store and for its caller."""
        self.store(reason, text)
        self.turn.sightings[0] = seen(text, reason)

    def disturb(self, kind: str, at: float = 11.0, until: float = 14.0) -> None:
        self.world.disturbances.append(Disturbance(0, kind, at, until))  # type: ignore[arg-type]

    def outage(self, where: str, at: float, until: float) -> None:
        self.world.outages.append(Outage(where, 0, at, until))  # type: ignore[arg-type]

    def fault(self, where: str, kind: str, at: float = 10.5, until: float = 10.6) -> None:
        subject = "c" if where == "store" else "m"
        made = Fault(where, 0, kind, at, until, subject, "")  # type: ignore[arg-type]
        self.world.faults.append(made)

    def act(self, kind: str, status: int, at: float = 11.0, **answer: object) -> None:
        acts = self.conversation.acts if kind in ("delete", "rename") else self.turn.acts
        acts.append(Act(kind, 0, at, at + 0.1, status, answer))

    def judge(self) -> list[Finding]:
        return verdict([self.conversation], self.world)

    def kinds(self) -> set[str]:
        return {finding.kind for finding in self.judge()}


def seen(
    text: str = TEXT,
    reason: str | None = "stop",
    *,
    way: str = "post",
    at: float = 10.0,
    before: str = "",
) -> Sighting:
    """A response that began 0.1 s after it was asked, took 2 s, and told its text evenly."""
    length = len(text)
    return Sighting(
        who="main",
        way=way,  # type: ignore[arg-type]
        instance=0,
        sent=at,
        before=before,
        opened=at + 0.1,
        status=200,
        begun=True,
        text=text,
        marks=[(at + 0.1 + 2 * n / length, n) for n in range(1, length + 1)],
        end=None if reason is None else End(reason, before + text, USAGE),
        closed=at + 2.2,
        parting="left" if reason is None else "end",
    )


def refused(status: int, code: str, *, at: float = 10.0, way: str = "post") -> Sighting:
    """An HTTP error."""
    return Sighting(
        who="main",
        way=way,  # type: ignore[arg-type]
        instance=0,
        sent=at,
        opened=at + 0.1,
        status=status,
        code=code,
        closed=at + 0.2,
        parting="refused",
    )


def well() -> Case:
    """Nothing was done, and all is as it must be."""
    turn = TurnHistory(PLAN, sightings=[seen()], asked_before=1, mismatched=(409, "turn_mismatch"))
    final = Final(status=200, title="T", count=2, listed=[("T", 4)], probe=(200, "stop"))
    ask = Ask("m", 0, 10.05, passed=True, status=200, spoke=True, finished=True, closed=12.1)
    conversation = ConversationHistory(Conversation("c", "u"), [turn], final=final)
    case = Case(World(3.0, asks=[ask]), conversation)
    case.store()
    return case


def gone() -> Case:
    """It was deleted in mid-answer, as it must be."""
    case = well()
    case.turn.sightings[0] = seen(TEXT[:9], "cancelled")
    case.act("delete", 204)
    case.conversation.final = Final(status=404, probe=(404, ""))
    case.turn.replayed = case.turn.mismatched = None
    return case
