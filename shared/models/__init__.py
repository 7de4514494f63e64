"""Model connections: how to reach a service, and the one way to speak with it."""
