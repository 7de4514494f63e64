"""What is going to be asked and done, made from a seed alone: the same seed, the same plans."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

MOST_TURNS: Final = 6
"""Scenes of one conversation."""
_SPICE: Final = ("é", "🙂", "日本", "ß", "\u2028")


@dataclass(frozen=True, slots=True)
class Conversation:
    """`name` is its id, `owner` the user's."""

    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The caller leaves so many seconds after the response began, and comes back, or never.

    A negative `after`: so many seconds after the request was sent, response or not.
    """

    after: float
    back: bool
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Doing:
    """An act, so many seconds after somebody first saw something of the turn."""

    kind: str
    """`stop`, `delete`, `rename`, `tab`, `repeat` or `mismatch`."""
    after: float
    instance: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. `end`: what its model's own end is; `refused`: the model never answers it."""

    marker: str
    name: str
    text: str
    """What the model says, if it comes to its end."""
    prompt: str
    end: str
    refused: bool
    seconds: float
    """How long the model takes, about."""
    instance: int
    accept: str
    on_disconnect: str
    leaves: tuple[Leave, ...]
    doings: tuple[Doing, ...]
    at_once: int
    """Further POSTs of the same turn at the same moment, on the instances in turn."""
    replaces: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Turns of one conversation, at once; `fresh`: of a new one."""

    kind: str
    fresh: bool
    turns: tuple[Turn, ...]


SCENES: Final = {
    "plain": 14,
    "gone": 8,
    "cancel": 5,
    "return": 16,
    "repeat": 10,
    "repeat_at_once": 8,
    "tabs": 9,
    "stop": 9,
    "delete": 5,
    "replace": 7,
    "rename": 4,
    "rivals": 7,
    "mismatch": 4,
}
_ENDS: Final = {"stop": 78, "length": 3, "content_filter": 3, "incomplete": 5, "error": 3}
_REFUSALS: Final = {
    "status code=429 retry_after_ms=300": 2,
    "status code=500": 1,
    "status code=401": 1,
    "filtered_prompt": 2,
    "error": 1,
}


def scenes(seed: str, caller: int, instances: int, *, brisk: bool = False) -> Iterator[Scene]:
    """The scenes of one caller, without end; `brisk`: no answer takes long."""
    rng = Random(f"{seed}/caller/{caller}")
    number = 0
    left = 0
    while True:
        kind = _pick(rng, SCENES)
        fresh = left == 0
        left = rng.randint(1, MOST_TURNS) if fresh else left
        left = 0 if kind == "delete" else left - 1
        turns = []
        for _ in range(rng.randint(2, 4) if kind == "rivals" else 1):
            turns.append(_turn(rng, kind, f"c{caller}t{number}", instances, brisk))
            number += 1
        yield Scene(kind, fresh, tuple(turns))


def _turn(rng: Random, kind: str, marker: str, instances: int, brisk: bool) -> Turn:
    tokens, ms = _size(rng, brisk)
    text = f"{marker}:" + "".join(
        f" {n:03d}" + (rng.choice(_SPICE) if rng.random() < 0.1 else "") for n in range(tokens)
    )
    seconds = tokens * ms / 1000
    how, end, refused = _model(rng, tokens)
    directives = [f"say text={json.dumps(text, ensure_ascii=False)}", f"pace ms={ms}", *how]
    if rng.random() < 0.06:
        directives.append(f"split size={rng.randint(1, 40)}")
    if rng.random() < 0.05:
        directives.append(f"slow headers={rng.choice((300, 2000, 6500))}")
    if rng.random() < 0.05:
        directives.append("no_usage")
    prompt = " ".join([marker, *(f"[simulate: {d}]" for d in directives)])
    moment = rng.uniform(0.0, max(0.2, min(seconds, 12.0)))
    some = range(rng.randint(1, 3))
    leaves: tuple[Leave, ...] = ()
    doings: list[Doing] = []
    if kind in ("gone", "cancel"):
        early = rng.random() < 0.25
        leaves = (Leave(-rng.uniform(0.01, 0.3) if early else moment, back=False),)
    elif kind == "return":
        leaves = tuple(
            Leave(rng.uniform(-0.2, 1.5), True, rng.choice((0.0, 0.5, 1.5))) for _ in some
        )
    elif kind in ("stop", "delete", "rename", "mismatch"):
        doings = [Doing(kind, moment, rng.randrange(instances))]
    elif kind == "tabs":
        doings = [Doing("tab", rng.uniform(0, moment), rng.randrange(instances)) for _ in some]
    elif kind == "repeat":
        late = rng.choice((moment, seconds + 1))
        doings = [Doing("repeat", late, rng.randrange(instances))]
    return Turn(
        marker=marker,
        name=f"t-{marker}",
        text=text,
        prompt=prompt,
        end=end,
        refused=refused,
        seconds=seconds,
        instance=rng.randrange(instances),
        accept=rng.choice(("text/event-stream",) * 3 + ("application/x-ndjson",)),
        on_disconnect="cancel" if kind == "cancel" else "finish",
        leaves=leaves,
        doings=tuple(doings),
        at_once=rng.randint(1, 2) if kind == "repeat_at_once" else 0,
        replaces=kind == "replace",
    )


def _size(rng: Random, brisk: bool) -> tuple[int, float]:
    """Tokens, and milliseconds between two."""
    chance = rng.random() * (0.9 if brisk else 1.0)
    if chance < 0.82:
        return rng.randint(5, 40), rng.randint(2, 30)
    if chance < 0.92:
        return rng.randint(50, 120), rng.randint(30, 60)
    return rng.randint(100, 220), rng.randint(90, 170)


def _model(rng: Random, tokens: int) -> tuple[list[str], str, bool]:
    """Directives, how the model ends by them, and whether the turn is refused."""
    if rng.random() < 0.05:
        refusal = _pick(rng, _REFUSALS)
        # So it ends only where its response had begun before the refusal came.
        return [refusal], "content_filter" if refusal == "filtered_prompt" else "error", True
    end = _pick(rng, _ENDS)
    after = f"after={rng.randint(1, tokens)}"
    match end:
        case "length":
            return [f"length {after}"], end, False
        case "content_filter":
            return [f"filtered_output {after}"], end, False
        case "incomplete":
            return [f"{rng.choice(('cut', 'end', 'cut reset'))} {after}"], end, False
        case "error":
            return [f"error {after}"], end, False
    return [], end, False


def _pick(rng: Random, weights: dict[str, int]) -> str:
    [chosen] = rng.choices(list(weights), list(weights.values()))
    return chosen
