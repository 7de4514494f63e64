"""Names of what is told. The GenAI ones are OpenTelemetry's semantic conventions (development):
https://opentelemetry.io/docs/specs/semconv/gen-ai/. What begins with `chat.` is this app's own.
"""

from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
STREAM: Final = "gen_ai.request.stream"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105  # no secret
CONVERSATION: Final = "gen_ai.conversation.id"
DATA_SOURCE: Final = "gen_ai.data_source.id"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
INVOCATION: Final = "faas.invocation_id"
DB_SYSTEM: Final = "db.system.name"
DB_OPERATION: Final = "db.operation.name"

ACTION: Final = "chat.action"
ENDPOINT: Final = "chat.endpoint"
HOW: Final = "chat.turn.how"
FINISH_REASON: Final = "chat.turn.finish_reason"
ESTIMATED: Final = "chat.usage.estimated"
WATCHERS: Final = "chat.turn.watchers"
CHECKPOINTS: Final = "chat.turn.checkpoints"
STORE_CALLS: Final = "chat.turn.store_calls"
FAIL_OVERS: Final = "chat.turn.fail_overs"
DOCUMENTS: Final = "chat.retrieval.documents"

PARAMETERS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "seed": "gen_ai.request.seed",
    "random_seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}
"""Parameters of a request that are told, and by which name; all others stay here."""
