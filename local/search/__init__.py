"""Azure AI Search on this machine: the search of documents in one index, and who may ask it."""

from local.search.service import INDEX, SearchService, running_search

__all__ = ["INDEX", "SearchService", "running_search"]
