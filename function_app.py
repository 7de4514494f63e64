"""The app that Azure Functions runs: registers the blueprints; nothing else."""

import os
from pathlib import Path

import azure.functions as func
import azurefunctions.extensions.http.fastapi  # noqa: F401 - the runtime looks for it here

from shared.api.ai_chat import ai_chat_blueprint
from shared.api.chat import chat_blueprint
from shared.api.conversations import conversations_blueprint
from shared.api.meta import meta_blueprint
from shared.api.sweep import sweep_blueprint
from shared.api.ui_chat import ui_chat_blueprint
from shared.services import Services
from shared.settings import Settings

services = Services(Settings.from_env(os.environ), Path(__file__).parent)
services.start()

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(chat_blueprint(services))
app.register_functions(ai_chat_blueprint(services))
app.register_functions(ui_chat_blueprint(services))
app.register_functions(conversations_blueprint(services))
app.register_functions(meta_blueprint(services))
app.register_functions(sweep_blueprint(services))
