"""Which formats each API of the service speaks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from yandex_compat.completion import Completion, CompletionRequest, Embedding
from yandex_compat.wires import chat, completion, embeddings, text_embedding

StreamDecoder = chat.StreamDecoder | completion.StreamDecoder


@dataclass(frozen=True, slots=True)
class API:
    """How one API writes and reads; paths stand under its root, the folder goes in a header."""

    completion_path: str
    encode: Callable[..., dict[str, Any]]
    decode: Callable[[bytes, CompletionRequest], Completion]
    stream_decoder: Callable[[CompletionRequest], StreamDecoder]
    embedding_path: str
    encode_embedding: Callable[[str, str], dict[str, Any]]
    decode_embedding: Callable[[bytes], Embedding]
    folder_header: str


APIS: Mapping[str, API] = {
    "chat": API(
        chat.PATH, chat.encode, chat.decode, chat.StreamDecoder,
        embeddings.PATH, embeddings.encode, embeddings.decode, "OpenAI-Project",
    ),
    "completion": API(
        completion.PATH, completion.encode, completion.decode, completion.StreamDecoder,
        text_embedding.PATH, text_embedding.encode, text_embedding.decode, "x-folder-id",
    ),
}  # fmt: skip
