"""all-MiniLM-L6-v2: a small, real embeddings model, for tests and for measuring searches.

Its weights come in a package; the six layers of a BERT encoder are a page of NumPy. The result is
that of the framework it was made with, to five digits.
https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
"""

from local.minilm.model import DIMENSIONS, MiniLm, NotInstalled

__all__ = ["DIMENSIONS", "MiniLm", "NotInstalled"]
