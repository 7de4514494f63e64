"""Every way in which an answer can end: in words, and as an exit code."""

from collections.abc import Sequence
from enum import IntEnum

from console.errors import ConsoleError, Left, Refused, Unreachable, UsageError
from console.events import End, Failure, Usage
from console.options import Options
from console.printable import one_line, printable

_TOOLS_SHOWN = 200


class Exit(IntEnum):
    """How the program ended, for the caller of a command line."""

    OK = 0
    USAGE = 2
    LENGTH = 3
    CONTENT_FILTER = 4
    TOOL_CALLS = 5
    CANCELLED = 6
    INCOMPLETE = 7
    ERROR = 8
    REFUSED = 9
    UNREACHABLE = 10
    LEFT = 130
    """As a shell says it of a program that Ctrl-C ended: 128 + SIGINT."""
    BROKEN_PIPE = 141
    """As a shell says it of a program that SIGPIPE ended: 128 + SIGPIPE."""
    TERMINATED = 143


_REASONS = {
    "stop": Exit.OK,
    "length": Exit.LENGTH,
    "content_filter": Exit.CONTENT_FILTER,
    "tool_calls": Exit.TOOL_CALLS,
    "cancelled": Exit.CANCELLED,
    "disconnected": Exit.CANCELLED,
    "incomplete": Exit.INCOMPLETE,
}
_WORDS = {
    "length": "The answer is cut off: it reached the longest that it may have. "
    'Ask "go on" to get more, or for a shorter answer.',
    "content_filter": "The answer was ended by the model's content filter. "
    "Ask in another way; this turn is left out of what the model is told later.",
    "tool_calls": "The model asks for {tools}, which the console cannot run. "
    "Ask without them, or use a client that has them.",
    "cancelled": "Stopped. What was answered so far is kept.",
    "disconnected": "The answer was ended because nobody was connected any more. "
    "What was answered so far is kept; ask again for the rest.",
    "incomplete": "The answer is incomplete: the model, or the backend's instance, broke off. "
    "What was answered so far is kept; ask again for the rest.",
}


def exit_code(reason: str) -> Exit:
    """The exit code for a finish reason; one that later versions add counts as an error."""
    return _REASONS.get(reason, Exit.ERROR)


def end_words(
    end: End,
    failure: Failure | None,
    again: str = "Asking again may help.",
    tools: Sequence[str] = (),
) -> str | None:
    """What to say of an end, or None where there is nothing to say but the answer.

    `again` is the advice where another attempt may help, `tools` are the names of those called.
    """
    if end.reason == "stop":
        return None
    if end.reason in _WORDS:
        return _WORDS[end.reason].format(tools=_tools(tools))
    if failure is None:
        return printable(f"The answer ended: {end.reason}.")
    advice = f" {again}" if failure.retryable else ""
    return printable(f"The answer ended with an error ({failure.code}): {failure.message}{advice}")


def _tools(names: Sequence[str]) -> str:
    """Each one once, however often it is to be called."""
    if not names:
        return "tools"
    shown = one_line(", ".join(dict.fromkeys(names)), _TOOLS_SHOWN)
    return f"the tool{'s' if len(set(names)) > 1 else ''} {shown}"


def usage_words(usage: Usage | None) -> str:
    """The tokens of one answer."""
    if usage is None:
        return "Tokens: not known."
    about = ", estimated" if usage.estimated else ""
    return f"Tokens: {usage.prompt} in, {usage.completion} out, {usage.total} in all{about}."


def error_code(error: ConsoleError) -> Exit:
    """The exit code for what kept an answer from its end."""
    match error:
        case UsageError():
            return Exit.USAGE
        case Unreachable():
            return Exit.UNREACHABLE
        case Left():
            return Exit.LEFT
    return Exit.REFUSED


def error_words(error: ConsoleError, options: Options) -> str:
    """The error, with what to do about it where that depends on what was given."""
    advice = _advice(error, options) if isinstance(error, Refused) else ""
    return printable(f"{error} {advice}".rstrip())


def _advice(error: Refused, options: Options) -> str:
    fields = {problem.field for problem in error.problems}
    prompt, action, conversation = options.system_prompt, options.action, options.conversation
    match error.code:
        case "field_locked" if prompt and "systemPrompt" in fields:
            drop = (
                "leave it out"
                if prompt.source.startswith("--")
                else f'unset {prompt.source}, or give --system-prompt ""'
            )
            return (
                f"The system prompt came from {prompt.source}. To ask without it, {drop}. To let "
                "callers set it, the backend needs CHAT_CALLER_FIELDS=systemPrompt, or the action "
                "callerFields."
            )
        case "invalid_request" if action and "action" in fields:
            return f"The action came from {action.source}."
        case "invalid_request" if conversation and "conversationId" in fields:
            return f"The conversation's id came from {conversation.source}."
        case "unauthenticated" if options.token:
            return "The token that was sent does not open it."
        case "unauthenticated":
            return "Give a token with CHAT_TOKEN, or --token."
        case "conversation_busy":
            return "Wait for the other answer, or begin a new conversation."
        case "rate_limited" | "overloaded" if error.retry_after.isdigit():
            return f"Try again in {_lasting(int(error.retry_after))}."
    return ""


def _lasting(seconds: int) -> str:
    """A time in the unit that one would say it in; rounded up, so that it is over then."""
    if seconds <= 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes <= 120 else f"{-(-minutes // 60)} h"
