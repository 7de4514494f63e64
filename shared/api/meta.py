"""About the app itself: actions, health, OpenAPI."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.api.endpoints import add_endpoint, authenticate, json_response
from shared.api.openapi import document
from shared.errors import InvalidRequest, Misconfigured
from shared.services import Services


def meta_blueprint(services: Services) -> func.Blueprint:
    blueprint = func.Blueprint()

    async def actions(req: Request) -> Response:
        authenticate(req, services)
        return json_response(
            {
                "items": [
                    {"name": a.name, "title": a.title, "description": a.description}
                    for a in services.actions
                ]
            }
        )

    async def health(req: Request) -> Response:
        probe = req.query_params.get("probe")
        if probe is None:
            return json_response({"status": "ok"})
        if probe != "ready":
            raise InvalidRequest("probe must be ready, or absent.", field="probe")
        authenticate(req, services)
        failures = await services.readiness()
        if not failures:
            return json_response({"status": "ready"})
        return json_response({"status": "unready", "failures": failures}, 503)

    async def openapi(req: Request) -> Response:
        try:
            anonymous = services.settings.auth.mode == "anonymous"
        except Misconfigured:  # then nobody is let in
            anonymous = False
        return json_response(document(anonymous=anonymous))

    add_endpoint(blueprint, services, "actions", "actions", {"GET": actions})
    add_endpoint(blueprint, services, "health", "health", {"GET": health})
    add_endpoint(blueprint, services, "openapi", "openapi.json", {"GET": openapi})
    return blueprint
