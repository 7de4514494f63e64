"""The AI Chat Protocol (https://aka.ms/chatprotocol, `@microsoft/ai-chat-protocol`)."""
