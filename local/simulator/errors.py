"""The errors that the service answers with, in its own words.

ServiceError        a status, a JSON body and headers
`openai_error`      the body of OpenAI's API, which also the model behind Azure's gateway gives
`azure_error`       the body of Azure's gateway: `{"error": {"code", "message"}}`
"""

from collections.abc import Mapping
from typing import Any

from local.simulator.filters import prompt_verdict

_SUPPORT = "https://go.microsoft.com/fwlink/?linkid=2213926"


class ServiceError(Exception):
    """An answer with an error status; the body is JSON."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def openai_error(
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    status: int = 400,
    kind: str = "invalid_request_error",
) -> ServiceError:
    """Make an error as the model's own API words it."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return ServiceError(status, body)


def azure_error(status: int, code: str, message: str) -> ServiceError:
    """Make an error as Azure's gateway words it."""
    return ServiceError(status, {"error": {"code": code, "message": message}})


def no_credential() -> ServiceError:
    """401: neither a key nor a token that counts."""
    message = (
        "Unauthorized. Access token is missing, invalid, audience is incorrect "
        "(https://cognitiveservices.azure.com), or have expired."
    )
    return ServiceError(401, {"statusCode": 401, "message": message})


def wrong_key() -> ServiceError:
    """401: a key that does not open this resource."""
    return azure_error(
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide "
        "a valid key for an active subscription and use a correct regional API endpoint for your "
        "resource.",
    )


def keys_disabled() -> ServiceError:
    """403: this resource takes tokens only."""
    return azure_error(
        403,
        "AuthenticationTypeDisabled",
        "Key based authentication is disabled for this resource.",
    )


def unknown_path() -> ServiceError:
    """404: no such path, or no `api-version`."""
    return azure_error(404, "404", "Resource not found")


def unknown_version() -> ServiceError:
    """400: an `api-version` that does not exist."""
    return azure_error(400, "BadRequest", "API version not supported")


def unknown_deployment() -> ServiceError:
    """404: no deployment of this name."""
    return azure_error(
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within "
        "the last 5 minutes, please wait a moment and try again.",
    )


def unknown_model(name: str) -> ServiceError:
    """404 of OpenAI's own API: no model of this name."""
    return openai_error(
        f"The model `{name}` does not exist or you do not have access to it.",
        code="model_not_found",
        status=404,
    )


def no_chat(name: str) -> ServiceError:
    """400: the model makes vectors."""
    return openai_error(
        f"The chatCompletion operation does not work with the specified model, {name}. Please "
        "choose different model and try again.",
        code="OperationNotSupported",
    )


def extra_parameters(names: list[str]) -> ServiceError:
    """400: Azure's `/models` was not told to pass on what only some models know."""
    return azure_error(
        400,
        "extra_parameters_not_allowed",
        f"Extra parameters {names} are not allowed when extra-parameters is not set or set to be "
        "'error'. Set extra-parameters to 'pass-through' to pass to the model.",
    )


def filtered_prompt(category: str) -> ServiceError:
    """400: the content filter refused the prompt, for this category."""
    error = {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy. Please modify your prompt and retry. To learn more about our content "
        "filtering policies please read our documentation: "
        "https://go.microsoft.com/fwlink/?linkid=2198766",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": prompt_verdict(filtered=category),
        },
    }
    return ServiceError(400, {"error": error})


def context_length(window: int, prompt: int, completion: int) -> ServiceError:
    """400: prompt and completion do not fit into the context window; all in tokens."""
    if completion:
        used = (
            f"you requested {prompt + completion} tokens ({prompt} in the messages, "
            f"{completion} in the completion). Please reduce the length of the messages or "
            "completion."
        )
    else:
        used = (
            f"your messages resulted in {prompt} tokens. Please reduce the length of the messages."
        )
    return openai_error(
        f"This model's maximum context length is {window} tokens. However, {used}",
        param="messages",
        code="context_length_exceeded",
    )


def server_error() -> ServiceError:
    """500: the model failed."""
    return openai_error(
        "The server had an error while processing your request. Sorry about that! Please contact "
        f"us through an Azure support request at: {_SUPPORT} if you continue to see this error.",
        status=500,
        kind="server_error",
    )


def rate_limited(retry_after_seconds: float) -> ServiceError:
    """429: too many calls; the caller adds the headers."""
    return azure_error(
        429,
        "429",
        "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version "
        "2024-10-21 have exceeded call rate limit of your current OpenAI S0 pricing tier. Please "
        f"retry after {max(1, round(retry_after_seconds))} seconds. Please go here: "
        "https://aka.ms/oai/quotaincrease if you would like to further increase the default rate "
        "limit.",
    )


def by_status(status: int, retry_after_seconds: float = 1) -> ServiceError:
    """Make the service's usual answer with this status."""
    match status:
        case 400:
            return openai_error("Invalid request.", code="invalid_value")
        case 401:
            return wrong_key()
        case 403:
            return azure_error(403, "403", "Access denied due to Virtual Network/Firewall rules.")
        case 404:
            return unknown_deployment()
        case 408:
            return azure_error(408, "Timeout", "The operation was timeout.")
        case 429:
            return rate_limited(retry_after_seconds)
        case 500:
            return server_error()
        case 502:
            return azure_error(502, "BadGateway", "The upstream server returned a bad response.")
        case 503:
            return azure_error(
                503,
                "ServiceUnavailable",
                "The service is temporarily unable to process your request. Please try again "
                "later.",
            )
        case 504:
            return azure_error(504, "GatewayTimeout", "The upstream server did not answer in time.")
        case _:
            return azure_error(status, str(status), f"The request failed with status {status}.")
