"""The AI SDK's UI message stream (https://ai-sdk.dev, package `ai`, what `useChat` speaks)."""
