"""Vectorization: the constructor words of an embedding model, as both adapters take them.

A pydantic model, as Connection is.
"""

from pydantic import BaseModel, ConfigDict


class Vectorization(BaseModel):
    """Which models turn texts into vectors, and how many requests go out in a second."""

    model_config = ConfigDict(defer_build=True)

    model: str = "text-search-doc"
    """The model of documents: name, name and branch, or full `emb://` URI."""
    query_model: str = "text-search-query"
    """The model of queries."""
    requests_per_second: float | None = None
    """The most requests in a second, of all instances of this process that share credential, folder
    and address, of whose rates the lowest counts; default 10, the service's quota; 0 for no limit.
    Above 1, a fraction is left out."""
