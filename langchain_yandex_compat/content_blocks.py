"""The standard content blocks of our messages, as LangChain's registry asks for them.

LangChain's best effort numbers the text of a stream from 0, as tool calls are numbered too, and
merges what has one number: under `output_version="v1"` a call vanished into the text (T8). So
each kind of block has numbers of its own here.
"""

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator

from langchain_yandex_compat.messages import PROVIDER


def of_message(message: AIMessage) -> list[types.ContentBlock]:
    """The blocks of a whole answer: reasoning, text, calls, then invalid calls."""
    blocks = _said(message)
    for call in message.tool_calls:
        blocks.append(
            types.ToolCall(type="tool_call", id=call["id"], name=call["name"], args=call["args"])
        )
    for cut in message.invalid_tool_calls:
        blocks.append(
            types.InvalidToolCall(
                type="invalid_tool_call",
                id=cut["id"],
                name=cut["name"],
                args=cut["args"],
                error=cut["error"],
            )
        )
    return blocks


def of_chunk(chunk: AIMessageChunk) -> list[types.ContentBlock]:
    """The blocks that one chunk adds; of a stream added up to its end, those of the answer."""
    if chunk.chunk_position == "last":
        return of_message(chunk)
    blocks = _said(chunk)
    for piece in chunk.tool_call_chunks:
        blocks.append(
            types.ToolCallChunk(
                type="tool_call_chunk",
                id=piece["id"],
                name=piece["name"],
                args=piece["args"],
                index=f"lc_tc_{piece['index']}",
            )
        )
    return blocks


def _said(message: AIMessage) -> list[types.ContentBlock]:
    """Reasoning, text and sound; a text is a string in our messages, blocks where a user made them.

    What a text cites stands in its block (A16).
    """
    if not isinstance(message.content, str):
        raise NotImplementedError("LangChain's best effort reads content that is no string")
    blocks: list[types.ContentBlock] = []
    extras = message.additional_kwargs
    streamed = isinstance(message, AIMessageChunk) and message.chunk_position != "last"
    if reasoning := extras.get("reasoning_content"):
        block = types.ReasoningContentBlock(type="reasoning", reasoning=reasoning)
        blocks.append(block | {"index": "lc_rs_0"} if streamed else block)
    if message.content or extras.get("annotations"):
        text = types.TextContentBlock(type="text", text=message.content)
        if citations := extras.get("annotations"):
            text["annotations"] = citations
        blocks.append(text | {"index": "lc_txt_0"} if streamed else text)
    if audio := extras.get("audio"):
        sound = types.AudioContentBlock(type="audio", base64=audio.get("data") or "")
        if "id" in audio:
            sound["id"] = audio["id"]
        rest = {word: value for word, value in audio.items() if word not in {"id", "data"}}
        blocks.append(sound | {"extras": rest} if rest else sound)
    return blocks


register_translator(PROVIDER, of_message, of_chunk)
