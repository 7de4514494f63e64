"""`actions.json` as it is written: its fields, and what is said of a mistake in it, and where.

`actions.schema.json` says the same to editors; `python -m local.schema` makes it from here.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import Misconfigured
from shared.messages import RESULT_FIELDS, FilterValue, Options, ResultName, SearchMode
from shared.prompts.template import CONTEXT, USER_PROMPT
from shared.settings import LOCKABLE_FIELDS

FILE = "actions.json"
SCHEMA = "$schema"
MAX_NAME_CHARS = 128
"""Of an action's name: callers can send no longer one."""

_EXPECTED = re.compile(r"(?P<what>.*?) - at `\$\.?(?P<path>[^`]*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MUST_BE = {
    "promptTemplate": f"must hold {USER_PROMPT}, or the question would be lost",
    "resultVariableName": "must be a name: letters, digits and _, no digit first, 64 at most",
}
"""Where the library's own words would not tell what is right."""

Named = Annotated[str, Meta(min_length=1)]
FilterName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z")]
Template = Annotated[str, Meta(pattern=USER_PROMPT)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Tokens = Annotated[int, Meta(ge=1)]


def _about(words: str) -> Meta:
    """What an editor says of a field."""
    return Meta(description=words)


class RetrievalFile(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where an action's question is answered from."""

    retriever: Annotated[Named, _about("One of CHAT_RETRIEVERS.")]
    top_k: Annotated[
        Annotated[int, Meta(ge=1, le=50)], _about("How many documents at most; 5 unless said.")
    ] = 5
    mode: Annotated[
        SearchMode,
        _about("By meaning (vector), by words (text), or by both: hybrid, the default."),
    ] = "hybrid"
    min_score: Annotated[
        Annotated[float, Meta(ge=-1, le=1)] | None,
        _about("The least cosine similarity of what is found by meaning; none unless said."),
    ] = None
    filter: Annotated[
        dict[FilterName, FilterValue | list[FilterValue]] | None,
        _about("What a document's metadata must say: a value, or one of several, by name."),
    ] = None
    rewrite: Annotated[
        bool,
        _about("Have the model rewrite a follow-up question from the history before the search."),
    ] = False
    on_failure: Annotated[
        Literal["fail", "answer"],
        _about("Where the search fails: end with an error (fail, the default), or answer without."),
    ] = "fail"


class ActionFile(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One action. What is left out comes from the settings."""

    title: Annotated[str | None, _about("What people choose it by; its name unless said.")] = None
    description: Annotated[str | None, _about("What it is for, in a line or two.")] = None
    connection: Annotated[
        Named | None, _about("One of CHAT_CONNECTIONS; AZURE_OPENAI unless said.")
    ] = None
    model: Annotated[
        Named | None, _about("The model or deployment to ask; the connection's unless said.")
    ] = None
    deployment_name: Annotated[Named | None, _about("Another name for model.")] = None
    system_prompt: Annotated[
        str | None, _about("What the model is told first; AZURE_OPENAI_SYSTEM_PROMPT unless said.")
    ] = None
    prompt_template: Annotated[
        Template | None,
        _about("How @@userPrompt, and @@context where there is any, are put together."),
    ] = None
    temperature: Annotated[Temperature | None, _about("0.7 unless said.")] = None
    max_completion_tokens: Annotated[
        Tokens | None, _about("How long an answer may be, in tokens; no limit unless said.")
    ] = None
    retrieval: Annotated[
        RetrievalFile | None, _about("Documents that the question is answered from.")
    ] = None
    max_context_tokens: Annotated[
        Tokens | None, _about("What documents may take of a prompt; CHAT_CONTEXT_MAX_TOKENS.")
    ] = None
    result_variable_name: Annotated[
        ResultName | None, _about("The name of the whole answer at its end; response unless said.")
    ] = None
    options: Annotated[
        Options | None, _about("Further fields of the completions request, by their own names.")
    ] = None
    caller_fields: Annotated[
        tuple[str, ...] | None, _about("The fields that callers may set; none unless said.")
    ] = None


def read_actions(content: bytes) -> dict[str, ActionFile]:
    """The file's actions by name. Raises `Misconfigured` that names the place."""
    named = _decode(content)
    if not isinstance(named, dict):
        raise Misconfigured(f"{FILE} must be an object: the name of each action, and its fields.")
    if not isinstance(named.pop(SCHEMA, ""), str):
        raise _mistake(SCHEMA, "must be the address of a schema, or absent")
    return {name: _action(name, fields) for name, fields in named.items()}


def _decode(content: bytes) -> Any:
    try:
        text = content.decode("utf-8-sig")  # some editors put a byte order mark in front
        found = json.loads(text, object_pairs_hook=_unique)
        # What could not be sent to a model: half of a surrogate pair, or no finite number.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise Misconfigured(f"{FILE}, line {line}: this is not UTF-8; save it as that.") from exc
    except UnicodeEncodeError as exc:
        raise Misconfigured(f"{FILE} holds half of a surrogate pair; write the character.") from exc
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise Misconfigured(f"{FILE}, {where}: this is not JSON: {exc.msg}.") from exc
    except RecursionError as exc:
        raise Misconfigured(f"{FILE} is nested too deeply.") from exc
    except ValueError as exc:
        raise Misconfigured(f"{FILE}: this is not JSON: {exc}.") from exc
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose names are there once: of two, one would silently count for nothing."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice in one object, keep one")
    return made


def _action(name: str, fields: object) -> ActionFile:
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise _mistake(name, f"a name of an action has 1 to {MAX_NAME_CHARS} characters")
    try:
        entry = msgspec.convert(fields, ActionFile)
    except msgspec.ValidationError as exc:
        raise _invalid(name, str(exc)) from exc
    if entry.model is not None and entry.deployment_name is not None:
        raise _mistake(f"{name}.deploymentName", "is another name for model: keep one of them")
    if entry.result_variable_name in RESULT_FIELDS:
        raise _mistake(
            f"{name}.resultVariableName", f"must not be one of {', '.join(sorted(RESULT_FIELDS))}"
        )
    if entry.retrieval is not None:
        _check_retrieval(name, entry, entry.retrieval)
    if entry.caller_fields != ("*",):
        for field in entry.caller_fields or ():
            if field not in LOCKABLE_FIELDS:
                raise _mistake(
                    f"{name}.callerFields",
                    f"{field!r} is not one of {', '.join(LOCKABLE_FIELDS)}; for all of them write "
                    '["*"], and nothing beside it',
                )
    return entry


def _check_retrieval(name: str, entry: ActionFile, retrieval: RetrievalFile) -> None:
    if entry.prompt_template is not None and entry.prompt_template.count(CONTEXT) != 1:
        raise _mistake(
            f"{name}.promptTemplate", f"must hold {CONTEXT} once, for the documents retrieved"
        )
    if retrieval.min_score is not None and retrieval.mode == "text":
        raise _mistake(
            f"{name}.retrieval.minScore",
            "is a similarity, which a search by words alone does not have: take it away, or the "
            "mode to hybrid or vector",
        )


def _invalid(name: str, text: str) -> Misconfigured:
    """The library's words, with the place that they are about."""
    found = _EXPECTED.fullmatch(text)
    what, path = (found["what"], found["path"]) if found else (text, "")
    place = ".".join(part for part in (name, path) if part)
    if unknown := _UNKNOWN.fullmatch(what):
        kind = _KINDS.get(path)
        known = f"; the fields are: {', '.join(_names(kind))}" if kind else ""
        return _mistake(f"{place}.{unknown['name']}", f"there is no such field{known}")
    right = _MUST_BE.get(path)
    if right and ", got " not in what:
        return _mistake(place, right)
    return _mistake(place, what.replace("`", ""))


_KINDS: Mapping[str, type[Struct]] = {
    "": ActionFile,
    "options": Options,
    "retrieval": RetrievalFile,
}


def _names(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(kind))


def _mistake(place: str, what: str) -> Misconfigured:
    return Misconfigured(f"{FILE}, {place}: {what}.")
