"""How a LangChain and a LlamaIndex model are asked the same: each question in the words of both."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from comparison.subjects import LANGCHAIN, LLAMAINDEX

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
"""A picture of one point, as base64 of PNG."""


class City(BaseModel):
    """A city."""

    name: str
    country: str


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"{city} is sunny"


@dataclass(frozen=True)
class Streamed:
    """A stream that came to its end: its pieces that have text, and the tokens it tells of."""

    pieces: tuple[str, ...]
    tokens: int | None


@dataclass(frozen=True)
class AgentRun:
    """An agent's run: the ids of its model's calls, and its last words."""

    ids: tuple[str, ...]
    text: str


class Framework(Protocol):
    """The questions."""

    def ask(self, model: Any, text: str, **words: Any) -> str:
        """The text of a whole answer."""
        ...

    async def aask(self, model: Any, text: str) -> str:
        """The same, async."""
        ...

    def whole(self, model: Any, text: str) -> str:
        """All that the framework's message of an answer holds."""
        ...

    def stream(self, model: Any, text: str) -> Streamed:
        """An answer by pieces, read to its end."""
        ...

    def ask_all(self, model: Any, texts: Sequence[str]) -> list[str | BaseException]:
        """The texts of as many answers, all asked for at once."""
        ...

    def tool(self, model: Any, text: str, *, required: bool) -> Sequence[str]:
        """The names of the tools that an answer calls, of one that it may or must call."""
        ...

    def agent(self, model: Any, text: str) -> AgentRun:
        """The framework's agent, run with one tool."""
        ...

    def result(self, model: Any, result: str) -> str:
        """The answer to a conversation that ends with a tool's result."""
        ...

    def picture(self, model: Any, text: str) -> str:
        """The answer to a text and an image."""
        ...

    def parse(self, model: Any, text: str) -> object:
        """An answer as a City."""
        ...

    def count(self, model: Any, text: str) -> int:
        """How many tokens a text has."""
        ...

    def embed(self, model: Any, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of documents."""
        ...

    def embed_query(self, model: Any, text: str) -> list[float]:
        """The vector of a query."""
        ...

    async def aembed(self, model: Any, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of documents, async."""
        ...


class _LangChain:
    def ask(self, model: Any, text: str, **words: Any) -> str:
        return str(model.invoke(text, **words).text)

    async def aask(self, model: Any, text: str) -> str:
        return str((await model.ainvoke(text)).text)

    def whole(self, model: Any, text: str) -> str:
        return str(model.invoke(text).model_dump())

    def stream(self, model: Any, text: str) -> Streamed:
        chunks = list(model.stream(text))
        total = chunks[0]
        for chunk in chunks[1:]:
            total += chunk
        usage = total.usage_metadata
        pieces = tuple(chunk.text for chunk in chunks if chunk.text)
        return Streamed(pieces, usage and usage["total_tokens"])

    def ask_all(self, model: Any, texts: Sequence[str]) -> list[str | BaseException]:
        config = {"max_concurrency": len(texts)}
        found = model.batch(list(texts), config=config, return_exceptions=True)
        return [one if isinstance(one, BaseException) else str(one.text) for one in found]

    def tool(self, model: Any, text: str, *, required: bool) -> Sequence[str]:
        bound = model.bind_tools([weather], **({"tool_choice": "any"} if required else {}))
        return [call["name"] for call in bound.invoke(text).tool_calls]

    def agent(self, model: Any, text: str) -> AgentRun:
        from langchain.agents import create_agent

        question: Any = {"messages": [("user", text)]}
        messages = create_agent(model, [weather]).invoke(question)["messages"]
        ids = [call["id"] for one in messages for call in getattr(one, "tool_calls", ())]
        return AgentRun(tuple(ids), str(messages[-1].text))

    def result(self, model: Any, result: str) -> str:
        from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

        call: Any = {"name": "weather", "args": {"city": "Kazan"}, "id": "call-1"}
        said = [
            HumanMessage("The weather in Kazan?"),
            AIMessage("", tool_calls=[call]),
            ToolMessage(result, tool_call_id="call-1", name="weather"),
        ]
        return str(model.invoke(said).text)

    def picture(self, model: Any, text: str) -> str:
        from langchain_core.messages import HumanMessage

        parts: list[str | dict[Any, Any]] = [
            {"type": "text", "text": text},
            {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
        ]
        return str(model.invoke([HumanMessage(content=parts)]).text)

    def parse(self, model: Any, text: str) -> object:
        return model.with_structured_output(City).invoke(text)

    def count(self, model: Any, text: str) -> int:
        return int(model.get_num_tokens(text))

    def embed(self, model: Any, texts: Sequence[str]) -> list[list[float]]:
        return list(model.embed_documents(list(texts)))

    def embed_query(self, model: Any, text: str) -> list[float]:
        return list(model.embed_query(text))

    async def aembed(self, model: Any, texts: Sequence[str]) -> list[list[float]]:
        return list(await model.aembed_documents(list(texts)))


class _LlamaIndex:
    def ask(self, model: Any, text: str, **words: Any) -> str:
        return str(model.chat(_said(text), **words).message.content)

    async def aask(self, model: Any, text: str) -> str:
        return str((await model.achat(_said(text))).message.content)

    def whole(self, model: Any, text: str) -> str:
        return str(model.chat(_said(text)).message.model_dump())

    def stream(self, model: Any, text: str) -> Streamed:
        responses = list(model.stream_chat(_said(text)))
        pieces = tuple(one.delta for one in responses if one.delta)
        told = [one.additional_kwargs.get("total_tokens") for one in responses]
        return Streamed(pieces, next((one for one in reversed(told) if one is not None), None))

    def ask_all(self, model: Any, texts: Sequence[str]) -> list[str | BaseException]:
        def ask(text: str) -> str | BaseException:
            try:
                return self.ask(model, text)
            except Exception as error:
                return error

        with ThreadPoolExecutor(len(texts)) as threads:
            return list(threads.map(ask, texts))

    def tool(self, model: Any, text: str, *, required: bool) -> Sequence[str]:
        response = model.chat_with_tools([_weather_tool()], user_msg=text, tool_required=required)
        calls = model.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        return [call.tool_name for call in calls]

    def agent(self, model: Any, text: str) -> AgentRun:
        from llama_index.core.agent.workflow import AgentOutput, FunctionAgent
        from llama_index.core.memory import ChatMemoryBuffer

        async def run() -> AgentRun:
            agent = FunctionAgent(tools=[_weather_tool()], llm=model, streaming=False)
            # The default memory opens a database of SQLite and never closes it.
            handler = agent.run(text, memory=ChatMemoryBuffer.from_defaults(token_limit=4000))
            events = [event async for event in handler.stream_events()]
            turns = [event for event in events if isinstance(event, AgentOutput)]
            ids = [call.tool_id for turn in turns for call in turn.tool_calls]
            return AgentRun(tuple(ids), str(await handler))

        return asyncio.run(run())

    def result(self, model: Any, result: str) -> str:
        from llama_index.core.base.llms.types import ToolCallBlock
        from llama_index.core.llms import ChatMessage, MessageRole
        from llama_index.core.llms import TextBlock as Text

        call = ToolCallBlock(
            tool_call_id="call-1", tool_name="weather", tool_kwargs={"city": "Kazan"}
        )
        known = {"tool_call_id": "call-1", "name": "weather"}
        said = [
            ChatMessage(role=MessageRole.USER, content="The weather in Kazan?"),
            ChatMessage(role=MessageRole.ASSISTANT, blocks=[call]),
            ChatMessage(role=MessageRole.TOOL, blocks=[Text(text=result)], additional_kwargs=known),
        ]
        return str(model.chat(said).message.content)

    def picture(self, model: Any, text: str) -> str:
        import base64

        from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock

        image = ImageBlock(image=base64.b64decode(PIXEL), image_mimetype="image/png")
        said = [ChatMessage(role="user", blocks=[TextBlock(text=text), image])]
        return str(model.chat(said).message.content)

    def parse(self, model: Any, text: str) -> object:
        from llama_index.core.prompts import PromptTemplate

        return model.structured_predict(City, PromptTemplate(text))

    def count(self, model: Any, text: str) -> int:
        tokenizer: Callable[[str], Sequence[int]] | None = getattr(model, "tokenizer", None)
        if tokenizer is None:
            raise NotImplementedError("no tokenizer")
        return len(tokenizer(text))

    def embed(self, model: Any, texts: Sequence[str]) -> list[list[float]]:
        return list(model.get_text_embedding_batch(list(texts)))

    def embed_query(self, model: Any, text: str) -> list[float]:
        return list(model.get_query_embedding(text))

    async def aembed(self, model: Any, texts: Sequence[str]) -> list[list[float]]:
        return list(await model.aget_text_embedding_batch(list(texts)))


def _said(text: str) -> Any:
    from llama_index.core.llms import ChatMessage

    return [ChatMessage(role="user", content=text)]


def _weather_tool() -> Any:
    from llama_index.core.tools import FunctionTool

    return FunctionTool.from_defaults(weather)


FRAMEWORKS: Mapping[str, Framework] = {LANGCHAIN: _LangChain(), LLAMAINDEX: _LlamaIndex()}
