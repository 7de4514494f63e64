"""The history of conversations: what is kept, and where."""
