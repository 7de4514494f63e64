"""A turn of an instance that died: begun, and never written again."""

from shared.history.base import Begun, NewTurn
from tests.turns.bench import PLACE, Instance, ask, now_ms


async def begun_elsewhere(app: Instance, turn_id: str = "t1", **fields: str) -> Begun:
    """A turn of another instance, which never writes again."""
    request = ask(turn_id=turn_id)
    new = NewTurn(
        **{
            "turn_id": turn_id,
            "nonce": "another's",
            "digest": request.digest(),
            "action": "default",
            "model": "gpt",
            "result_name": "response",
            "question": request.user_prompt,
            "title": "t",
            **fields,
        }  # type: ignore[arg-type]
    )
    store = Instance(app.rows).store
    view = await store.read(PLACE, 2)
    return await store.begin(PLACE, view.head, new, now_ms())
