"""OpenAI's chat completions (`/api/v1`): an unmodified SDK of OpenAI's or Mistral's works."""
