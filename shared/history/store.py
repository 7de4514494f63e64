"""The history of turns on rows: each write names what it was built on, and nothing locks."""

from collections.abc import Callable
from dataclasses import replace

from shared.errors import PayloadTooLarge
from shared.history import keys
from shared.history.base import (
    LEASE_MS,
    Answer,
    Begun,
    Conflict,
    Conversation,
    Head,
    NewTurn,
    Page,
    Place,
    Swept,
    View,
)
from shared.history.codec import MAX_BODY_BYTES, decode_runs
from shared.history.conversations import Conversations
from shared.history.deletion import Deletions
from shared.history.records import (
    answer_values,
    answered_by,
    checkpoint_values,
    clean_title,
    end_values,
    head_values,
    index_values,
    new_answer,
    question_body,
    question_values,
    read_answer,
    read_head,
    turn_number,
)
from shared.history.rows import ANY, Delete, Insert, Merge, Operation, Rows, Value
from shared.history.sweep import Sweep
from shared.history.views import required, view
from shared.messages import FinishReason, Usage


class Store:
    """Implements `HistoryStore`, once for every place that rows can be kept in."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._conversations = Conversations(rows)
        self._deletions = Deletions(rows)

    async def read(self, place: Place, messages: int) -> View:
        """The head and the newest `messages` rows, in one request."""
        head_key = keys.head(place.conversation)
        rows = await self._rows.range(
            keys.partition(place), head_key, keys.messages_end(place.conversation), messages + 1
        )
        head = rows.pop(0) if rows and rows[0].key == head_key else None
        return view(head, rows[:messages], messages)

    async def read_below(self, place: Place, number: int, messages: int) -> View:
        """The newest rows whose number is below `number`, in one request; `head` is None."""
        if number <= 0:
            return View(None)
        rows = await self._rows.range(
            keys.partition(place),
            keys.message(place.conversation, number - 1),
            keys.messages_end(place.conversation),
            messages,
        )
        return view(None, rows, messages)

    async def head(self, place: Place) -> Head | None:
        row = await self._rows.get(keys.partition(place), keys.head(place.conversation))
        return required(read_head, row) if row else None

    async def find(self, place: Place, turn_id: str) -> int | None:
        """The number of a turn's answer, however old; None: there is no such turn."""
        row = await self._rows.get(keys.partition(place), keys.turn(place.conversation, turn_id))
        return required(turn_number, row) if row else None

    async def answer(self, place: Place, number: int) -> Answer | None:
        """None: there is no such row. One that cannot be read is `StoreUnavailable`."""
        row = await self._rows.get(keys.partition(place), keys.message(place.conversation, number))
        return required(read_answer, row) if row else None

    async def begin(self, place: Place, head: Head | None, turn: NewTurn, now: int) -> Begun:
        """Write head, index, turn, question and running answer in one transaction.

        `head` is what the caller read, None for nothing. Raises `Conflict`, `PayloadTooLarge`.
        """
        if head and head.deleted:
            raise Conflict
        question = question_body(turn)
        if len(question) > MAX_BODY_BYTES:
            field = "toolResults" if turn.results else "userPrompt"
            raise PayloadTooLarge(
                f"{field} has {len(question)} bytes of UTF-8; the history keeps at most "
                f"{MAX_BODY_BYTES}.",
                field=field,
            )
        if len(turn.body) > MAX_BODY_BYTES:
            raise PayloadTooLarge(
                "The citations are longer than an answer may be.", field="context"
            )
        after = _head_after(place, head, turn, now)
        number = after.next - 2
        answer = new_answer(turn, number + 1, now, now + LEASE_MS)
        operations: list[Operation] = [_head_write(place, head, after)]
        operations += _index_moved(place, head, after)
        operations += [
            Insert(keys.turn(place.conversation, turn.turn_id), {"number": number + 1}),
            Insert(
                keys.message(place.conversation, number),
                question_values(turn.turn_id, question, now, results=bool(turn.results)),
            ),
            Insert(keys.message(place.conversation, number + 1), answer_values(answer)),
        ]
        etags = await self._rows.write(keys.partition(place), operations)
        return Begun(place, replace(after, etag=etags[0]), head, replace(answer, etag=etags[-1]))

    async def save(
        self, begun: Begun, body: bytes, lease: int, *, model: str | None = None
    ) -> Begun:
        """Checkpoint: the body's changed part, and the lease. Raises `Conflict`."""
        old = answered_by(begun.answer, model)
        new = replace(old, body=body, runs=decode_runs(body), lease=lease)
        values = checkpoint_values(begun.answer, new)
        etag = await self._merge(begun, values)
        return replace(begun, answer=replace(new, etag=etag))

    async def finish(
        self,
        begun: Begun,
        body: bytes,
        reason: FinishReason,
        usage: Usage,
        reasoning_tokens: int,
        *,
        model: str | None = None,
    ) -> Begun:
        """End the turn: one conditional merge. Raises `Conflict`."""
        old = answered_by(begun.answer, model)
        new = replace(
            old,
            body=body,
            runs=decode_runs(body),
            running=False,
            lease=0,
            finish_reason=reason,
            usage=usage,
            reasoning_tokens=reasoning_tokens,
        )
        values = checkpoint_values(begun.answer, new) | end_values(reason, usage, reasoning_tokens)
        etag = await self._merge(begun, values)
        return replace(begun, answer=replace(new, etag=etag))

    async def undo(self, begun: Begun) -> None:
        """Take the turn back as if it had never been. Raises `Conflict`."""
        place, now, answer = begun.place, begun.head, begun.answer
        old = _head_before(begun)
        conversation = place.conversation
        operations: list[Operation] = [Merge(keys.head(conversation), head_values(old), now.etag)]
        operations += _index_moved(place, now, old)
        operations += [
            Delete(keys.turn(conversation, answer.turn_id)),
            Delete(keys.message(conversation, answer.number - 1)),
            Delete(keys.message(conversation, answer.number), answer.etag),
        ]
        await self._rows.write(keys.partition(place), operations)

    async def reap(
        self, place: Place, answer: Answer, usage: Usage, *, stopped: bool = False
    ) -> None:
        """End a dead turn: `cancelled` if somebody stops it, or has, else `incomplete`."""
        reason: FinishReason = "cancelled" if stopped or answer.stop else "incomplete"
        await self._change(place, answer, end_values(reason, usage, answer.reasoning_tokens))

    async def ask_to_stop(self, place: Place, answer: Answer) -> None:
        """Tell the owner, wherever it runs, to stop. Raises `Conflict`."""
        await self._change(place, answer, {"stop": True})

    async def watch(self, place: Place, answer: Answer, until: int) -> None:
        """Tell the owner that somebody watches elsewhere until then. Raises `Conflict`."""
        await self._change(place, answer, {"watch": until})

    async def conversations(self, owner: str, limit: int, cursor: str | None) -> Page[Conversation]:
        """Newest first. Raises `InvalidRequest` for a cursor that it did not make."""
        return await self._conversations.page(owner, limit, cursor)

    async def rename(self, place: Place, title: str) -> Head:
        """Raises `NotFound`."""
        return await self._conversations.rename(place, title)

    async def delete(self, place: Place) -> str | None:
        """Delete for good; gives the turn that was running. Raises `NotFound`."""
        return await self._deletions.delete(place)

    async def purge(self, place: Place) -> None:
        """Remove what is left of a deleted conversation, by pages; then its intent."""
        await self._deletions.purge(place)

    async def sweep(self, now: int, keep_ms: int | None, time_left: Callable[[], bool]) -> Swept:
        """Finish deletions that were broken off; delete what is older than `keep_ms`."""
        return await Sweep(self._rows, now, keep_ms, time_left).run()

    async def ready(self) -> None:
        """Reach the store, and create what is missing. Raises `StoreUnavailable`."""
        await self._rows.ready()

    async def aclose(self) -> None:
        await self._rows.aclose()

    async def _merge(self, begun: Begun, values: dict[str, Value]) -> str:
        return await self._change(begun.place, begun.answer, values)

    async def _change(self, place: Place, answer: Answer, values: dict[str, Value]) -> str:
        """Change an answer's row as it was read; gives its new version. Raises `Conflict`."""
        key = keys.message(place.conversation, answer.number)
        operation = Merge(key, values, answer.etag)
        return (await self._rows.write(keys.partition(place), [operation]))[0]


def _head_after(place: Place, head: Head | None, turn: NewTurn, now: int) -> Head:
    """The head once the turn has begun."""
    updated = max(now, head.updated + 1) if head else now
    indexed = 0 if place.owner is None else updated
    added = 2 - 2 * turn.replaces.turns if turn.replaces else 2
    if head is None or not head.next:
        return Head("", False, clean_title(turn.title), now, updated, 2, added, indexed)
    return replace(
        head, updated=updated, next=head.next + 2, count=head.count + added, indexed=indexed
    )


def _head_before(begun: Begun) -> Head:
    """The head once the turn is undone. The title stays: it may have been renamed meanwhile."""
    now, before = begun.head, begun.before
    if before is None or not before.next:
        return replace(now, title="", next=0, count=0, indexed=0)
    return replace(
        now,
        updated=before.updated,
        next=before.next,
        count=before.count,
        indexed=before.indexed,
    )


def _head_write(place: Place, head: Head | None, after: Head) -> Operation:
    key, values = keys.head(place.conversation), head_values(after)
    return Merge(key, values, head.etag) if head else Insert(key, values)


def _index_moved(place: Place, old: Head | None, new: Head) -> list[Operation]:
    """The list's row, where it is moved with the head that it belongs to."""
    operations: list[Operation] = []
    if old and old.indexed:
        operations.append(Delete(keys.index(old.indexed, place.conversation), ANY))
    if new.indexed:
        operations.append(Insert(keys.index(new.indexed, place.conversation), index_values(new)))
    return operations
