"""What to do where a service does not let the app in: the role, and the command that gives it."""

from shared.history.failures import ROLE as STORE_ROLE
from shared.settings import Connection, IdentitySettings

MODEL_ROLES = {
    "azure_openai": "Cognitive Services OpenAI User",
    "mistral": "Cognitive Services User",
}
"""https://learn.microsoft.com/azure/ai-foundry/openai/how-to/role-based-access-control"""
_WAIT = "It takes up to ten minutes until a role works."


def give_role(role: str, identity: IdentitySettings, scope: str) -> str:
    """The command; `scope` names the resource, or says how to find it."""
    if identity.managed:
        who = "the Function App's identity (az functionapp identity show, or az identity show)"
    else:
        who = "your own account (az ad signed-in-user show --query id)"
    return (
        f"Give {who} the role «{role}»: az role assignment create --assignee PRINCIPAL_ID "
        f'--role "{role}" --scope {scope}. {_WAIT}'
    )


def sign_in(identity: IdentitySettings, setting: str) -> str:
    """What to do where there is no token at all."""
    if identity.managed:
        return (
            f"{setting}=managedidentity works in Azure only, and with an identity assigned: az "
            "functionapp identity assign --name APP --resource-group GROUP --identities ID, and "
            "<NAME>__clientId with its client id. On your machine leave it out, and run: az login."
        )
    return "Sign in: az login. Then choose the subscription: az account set --subscription NAME."


def model_refused(connection: Connection) -> str:
    """What to do where the model's service refuses the app, or knows no such model."""
    if connection.api_key is not None:
        entry = (
            f"Look at {connection.setting('apiKey')} (az cognitiveservices account keys list), or "
            "better take it away and use an identity."
        )
    else:
        role = MODEL_ROLES.get(connection.kind, "that the service wants")
        address = connection.service.address
        query = f"[?contains(properties.endpoint, '{address}')].id"
        scope = f'$(az cognitiveservices account list --query "{query}" -o tsv)'
        entry = give_role(role, connection.identity, scope)
    return (
        f"{entry} Or the deployment is not there: {connection.setting('model')} must be one of "
        "az cognitiveservices account deployment list --name RESOURCE --resource-group GROUP."
    )


def store_refused(identity: IdentitySettings | None, account: str) -> str:
    """What to do where the Table service refuses the app."""
    if identity is None:
        return (
            "Look at the connection string (az storage account show-connection-string), and "
            "whether the account allows keys; an identity is better: CHAT_STORAGE__accountName."
        )
    scope = f"$(az storage account show --name {account} --query id -o tsv)"
    return (
        f"{give_role(STORE_ROLE, identity, scope)} Where it has the role, the account's network "
        "rules keep this machine out: az storage account show --query networkRuleSet."
    )
