"""Ways to say requests and events on the wire."""
