"""Retrieval: what an action's question is answered from, found on the server."""
