"""Brings documents to where a retriever finds them: read, split, embedded, stored; not deployed."""
