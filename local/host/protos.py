"""The messages between Functions host and worker, as plain objects.

Microsoft's runtime builds and reads its messages through an injected `protos` namespace, in Azure
the generated protobuf module. This module has the same names and the attributes that the runtime
touches (azure-functions-runtime 1.3, message FunctionRpc.proto), so it serves as that namespace.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class BindingInfo:
    """One binding of a function; directions and data types by their protobuf numbers."""

    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    undefined: ClassVar[int] = 0

    type: str
    data_type: int | None = None
    direction: int = 0


@dataclass(frozen=True, slots=True)
class RpcException:
    """An exception of the worker in words."""

    message: str = ""
    stack_trace: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class StatusResult:
    """How a request to the worker ended."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1
    Cancelled: ClassVar[int] = 2

    status: int
    exception: RpcException | None = None


@dataclass(frozen=True, slots=True)
class WorkerMetadata:
    """What the worker says about itself."""

    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class WorkerInitResponse:
    """The end of indexing; `capabilities["HttpUri"]` is where HTTP requests are to be forwarded."""

    capabilities: dict[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclass(frozen=True, slots=True)
class RpcRetryOptions:
    """A function's retry policy."""

    max_retry_count: int
    retry_strategy: str
    delay_interval: timedelta | None = None
    minimum_interval: timedelta | None = None
    maximum_interval: timedelta | None = None


@dataclass(frozen=True, slots=True)
class RpcFunctionMetadata:
    """One function; `raw_bindings` are JSON texts as in a function.json."""

    name: str
    function_id: str
    managed_dependency_enabled: bool
    directory: str
    script_file: str
    entry_point: str
    is_proxy: bool
    language: str
    bindings: dict[str, BindingInfo]
    raw_bindings: list[str]
    retry_options: RpcRetryOptions | None
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class FunctionMetadataResponse:
    """All functions of the app; None where there is no function_app.py."""

    use_default_metadata_indexing: bool
    function_metadata_results: list[RpcFunctionMetadata] | None
    result: StatusResult


@dataclass(frozen=True, slots=True)
class FunctionLoadResponse:
    """The answer to the load of one function."""

    function_id: str
    result: StatusResult


@dataclass(frozen=True, slots=True)
class RpcHttp:
    """The HTTP part of an invocation; for forwarded requests only `params` count."""

    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: "TypedData" = field(default_factory=lambda: TypedData())
    status_code: str = ""
    cookies: list[Any] | None = None
    enable_content_negotiation: bool = False


@dataclass(frozen=True, slots=True)
class TypedData:
    """A value in one of several forms: protobuf's `oneof data`."""

    string: str | None = None
    json: str | None = None
    bytes: "bytes | None" = None
    int: "int | None" = None
    double: float | None = None
    http: RpcHttp | None = None

    def WhichOneof(self, name: str) -> str | None:  # noqa: N802 - protobuf's own name
        """The name of the form that is set, or None."""
        return next((form for form in self.__slots__ if getattr(self, form) is not None), None)


@dataclass(frozen=True, slots=True)
class ParameterBinding:
    """A value for one parameter of a function, in or out."""

    name: str
    data: TypedData

    def WhichOneof(self, name: str) -> str:  # noqa: N802 - protobuf's own name
        """Always `data`: there is no shared memory here."""
        return "data"


@dataclass(frozen=True, slots=True)
class RpcTraceContext:
    """The W3C trace context of the caller."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetryContext:
    """Which attempt this is: always the first."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException | None = None


@dataclass(frozen=True, slots=True)
class InvocationRequest:
    """One call of a function."""

    invocation_id: str
    function_id: str
    input_data: list[ParameterBinding]
    trigger_metadata: dict[str, TypedData] = field(default_factory=dict)
    trace_context: RpcTraceContext = field(default_factory=RpcTraceContext)
    retry_context: RetryContext = field(default_factory=RetryContext)


@dataclass(frozen=True, slots=True)
class InvocationResponse:
    """How a call ended; for HTTP the response itself went over HTTP."""

    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: list[ParameterBinding] | None = None


@dataclass(frozen=True, slots=True)
class WorkerInitRequest:
    """What a worker is started with."""

    function_app_directory: str
    capabilities: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionLoadRequest:
    """Announces that a function will be called."""

    function_id: str


@dataclass(frozen=True, slots=True)
class StreamingMessage:
    """The envelope of every request to the worker; one member is set."""

    worker_init_request: WorkerInitRequest | None = None
    function_load_request: FunctionLoadRequest | None = None
    invocation_request: InvocationRequest | None = None


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """What the runtime's functions take: an envelope, and what the host injects."""

    request: StreamingMessage
    properties: dict[str, Any] = field(default_factory=dict)
