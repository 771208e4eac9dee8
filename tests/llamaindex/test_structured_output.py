"""Structured prediction in its three ways: what is sent, what comes back, and what is refused."""

import asyncio
from datetime import date
from typing import Any, Generic, TypeVar

import pytest
from llama_index.core import Document, PromptTemplate, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.indices.property_graph import SchemaLLMPathExtractor
from llama_index.core.instrumentation.dispatcher import DISPATCHER_SPAN_DECORATED_ATTR
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.prompts import ChatPromptTemplate, SelectorPromptTemplate
from llama_index.core.schema import TextNode
from pydantic import BaseModel, ConfigDict, RootModel, model_validator
from pydantic_core import from_json

from llamaindex_yandex_compat import YandexLLM
from llamaindex_yandex_compat.tools import closed
from yandex_compat import (
    ConfigurationError,
    MalformedAnswer,
    ToolChoiceIgnored,
    UnsupportedError,
    YandexClient,
    YandexError,
    jsontext,
)

WAYS = ("default", "function", "llm")
FORMS = ("predict", "apredict", "stream", "astream")
PROMPT = PromptTemplate("Capital of {of}")


class City(BaseModel):
    """A city."""

    name: str
    people: int = 0


PARIS = {"name": "Париж", "people": 2_000_000}

every_way = pytest.mark.parametrize("way", WAYS)
every_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
def model(llm, way):
    """A model of each family, which asks in each way."""
    llm.pydantic_program_mode = way
    return llm


async def predicted(llm: YandexLLM, form: str, output_cls: Any = City, **words: Any) -> list[Any]:
    """Everything that was given out; the last is the object."""
    words = {"prompt": PROMPT, "of": "France"} | words
    match form:
        case "predict":
            return [await asyncio.to_thread(llm.structured_predict, output_cls, **words)]
        case "apredict":
            return [await llm.astructured_predict(output_cls, **words)]
        case "stream":
            return await asyncio.to_thread(list, llm.stream_structured_predict(output_cls, **words))
    return [each async for each in await llm.astream_structured_predict(output_cls, **words)]


def answer(way: str, value: Any, name: str = "City", **more: Any) -> dict[str, Any]:
    """The script of an answer that holds a value as it was asked for."""
    if way == "function":
        return {"tool_calls": [{"name": name, "arguments": value}], **more}
    text = value if isinstance(value, str) else jsontext.encode(value).decode()
    return {"text": text, **more}


@every_way
@every_form
async def test_an_object_by_one_request(model, way, form, emulator, bodies):
    emulator.script(answer(way, PARIS))
    assert (await predicted(model, form))[-1] == City(**PARIS)
    [body] = bodies()
    schema = City.model_json_schema()
    asked = body["messages"][-1]["content"]
    assert asked.startswith("Capital of France")
    assert bool(body.get("stream")) is ("stream" in form)
    if way == "default":
        described = {"name": "City", "schema": schema}
        assert body["response_format"] == {"type": "json_schema", "json_schema": described}
        assert "tools" not in body
    elif way == "function":
        [tool] = body["tools"]
        assert tool["function"]["name"] == "City"
        assert tool["function"]["parameters"]["required"] == ["name"]
        assert body["tool_choice"] == "required"  # T11
        assert body["parallel_tool_calls"] is False
    else:
        assert jsontext.decode(asked[asked.index("{") : asked.rindex("}") + 1]) == schema  # T13
        assert body.keys() <= {"model", "messages", "stream"}


@every_way
@every_form
async def test_the_system_prompt_goes_along(model, way, form, emulator, bodies):  # T10
    model.system_prompt = "Be exact."
    emulator.script(answer(way, PARIS))
    await predicted(model, form)
    assert [message["role"] for message in bodies()[0]["messages"]] == ["system", "user"]
    assert bodies()[0]["messages"][0]["content"].startswith("Be exact.")


@every_way
@every_form
async def test_words_of_the_call_are_sent_and_stay_the_caller_s(
    model, way, form, emulator, bodies
):  # T12
    words = {"temperature": 0.5}
    if way == "function":
        words |= {"tool_choice": "City", "allow_parallel_tool_calls": True}
    kept = dict(words)
    emulator.script(answer(way, PARIS))
    await predicted(model, form, llm_kwargs=words)
    assert words == kept
    [body] = bodies()
    assert body["temperature"] == 0.5
    if way == "function":
        assert body["tool_choice"] == {"type": "function", "function": {"name": "City"}}
        assert body["parallel_tool_calls"] is True


@every_way
async def test_the_prompt_stays_as_it_was(model, way, emulator):  # T13
    messages = [ChatMessage("Capital of {of}")]
    prompt = ChatPromptTemplate(message_templates=messages)
    emulator.script(answer(way, PARIS), answer(way, PARIS))
    for _ in range(2):
        await predicted(model, "predict", prompt=prompt)
    assert prompt.output_parser is None
    assert messages == [ChatMessage("Capital of {of}")]


@every_way
async def test_a_prompt_that_selects_by_model_is_told_the_model(model, way, emulator, bodies):
    prompt = SelectorPromptTemplate(
        PROMPT, conditionals=[(lambda llm: llm is model, PromptTemplate("Mine: {of}"))]
    )
    emulator.script(answer(way, PARIS))
    await predicted(model, "predict", prompt=prompt)
    assert bodies()[0]["messages"][0]["content"].startswith("Mine: France")


@pytest.mark.parametrize("way", ["default", "llm"])
@pytest.mark.parametrize("dressed", ["```json\n{}\n```", "Here it is:\n{}", "{} Anything else?"])
@every_form
async def test_what_stands_around_the_json_is_no_part_of_it(model, way, form, dressed, emulator):
    text = jsontext.encode(PARIS).decode()
    emulator.script({"text": dressed.replace("{}", text)})
    assert (await predicted(model, form))[-1] == City(**PARIS)


WRONG = {
    "cut": ('{"name": "Пар', {"finish_reason": "length"}, "max_tokens"),
    "cut in silence": ('{"name": "Пар', {}, "no whole JSON|arguments|City"),
    "of another kind": ({"name": "Париж", "people": "many"}, {}, "people: .*integer"),
    "lacking a field": ({"people": 1}, {}, "name: Field required"),
}


@every_way
@every_form
@pytest.mark.parametrize("wrong", WRONG)
async def test_an_answer_that_is_no_object_raises_by_name(model, way, form, wrong, emulator):
    value, more, named = WRONG[wrong]
    emulator.script(answer(way, value, **more))
    with pytest.raises(MalformedAnswer, match=named) as caught:
        await predicted(model, form)
    assert "City" in str(caught.value)
    assert not isinstance(caught.value, ValueError | TypeError)


@pytest.mark.parametrize("way", ["default", "llm"])
@every_form
async def test_a_refusal_raises_by_name(model, way, form, emulator):  # WIRE A6
    emulator.script(
        {"text": '{"name":', "finish_reason": "content_filter", "replaced_by": "I can't say."}
    )
    with pytest.raises(MalformedAnswer, match=r"content_filter.*I can't say"):
        await predicted(model, form)


@pytest.mark.parametrize("way", ["default", "llm"])
@every_form
async def test_plain_text_raises_by_name(model, way, form, emulator):
    emulator.script({"text": "It is Paris."})
    with pytest.raises(MalformedAnswer, match=r"City.*'It is Paris\.'"):
        await predicted(model, form)


@every_form
async def test_a_call_that_does_not_come_raises_by_name(llm, form, emulator):  # T11
    llm.pydantic_program_mode = "function"
    emulator.script({"text": "It is Paris."})
    with pytest.raises(ToolChoiceIgnored):
        await predicted(llm, form)


@every_way
@pytest.mark.parametrize("form", ["stream", "astream"])
async def test_objects_grow_and_the_last_is_whole(qwen, way, form, emulator):  # T15
    qwen.pydantic_program_mode = way
    emulator.script(answer(way, {"name": "Санкт-Петербург на Неве", "people": 5_600_000}))
    *partial, last = await predicted(qwen, form)
    assert last == City(name="Санкт-Петербург на Неве", people=5_600_000)
    assert isinstance(last, City)
    assert len(partial) > 2
    names = [each.name or "" for each in partial]
    assert names == sorted(names, key=len)
    assert all(last.name.startswith(name) for name in names)
    assert partial[0].name != last.name


async def test_partial_objects_are_parsed_in_linear_time(qwen, emulator, monkeypatch):
    given: list[int] = []

    def counted(data: bytes | str, **words: Any) -> Any:
        if words:  # the beginning of an object; what the wire brings is whole
            given.append(len(data))
        return from_json(data, **words)

    monkeypatch.setattr(jsontext, "from_json", counted)
    name = "ненаглядный " * 1500
    emulator.script(answer("default", {"name": name}))
    assert (await predicted(qwen, "astream"))[-1].name == name
    assert len(name) < sum(given) < 12 * len(name)


T = TypeVar("T")


class Boxed(BaseModel, Generic[T]):
    inside: T


class Node(BaseModel):
    name: str
    children: list["Node"] = []


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    founded: date


class Cities(RootModel[list[City]]):
    """Cities."""


@pytest.mark.parametrize("way", ["default", "function", "llm"])
@pytest.mark.parametrize(
    ("output_cls", "value"),
    [
        (Boxed[int], {"inside": 5}),
        (Boxed[list[City]], {"inside": [PARIS]}),
        (Node, {"name": "a", "children": [{"name": "b", "children": []}]}),
        (Strict, {"founded": "1703-05-27"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("form", ["apredict", "astream"])
async def test_classes_of_every_kind(model, way, form, output_cls, value, emulator, bodies):
    name = {"Boxed[int]": "Boxed_int", "Boxed[list[City]]": "Boxed_list_City"}.get(
        output_cls.__name__, output_cls.__name__
    )
    emulator.script(answer(way, value, name=name))
    found = (await predicted(model, form, output_cls))[-1]
    assert type(found) is output_cls
    assert found == output_cls.model_validate_json(jsontext.encode(value))
    if way == "default":
        assert bodies()[0]["response_format"]["json_schema"]["name"] == name
    elif way == "function":
        assert bodies()[0]["tools"][0]["function"]["name"] == name


@pytest.mark.parametrize("way", ["default", "llm"])
@every_form
async def test_a_list_of_objects(model, way, form, emulator):
    emulator.script(answer(way, [PARIS]))
    assert (await predicted(model, form, Cities))[-1] == Cities([City(**PARIS)])


@every_way
@every_form
async def test_events_of_one_prediction(model, way, form, emulator, events):
    emulator.script(answer(way, PARIS))
    given = await predicted(model, form)
    counts = events.counts
    for name in ("LLMStructuredPredictStartEvent", "LLMStructuredPredictEndEvent"):
        assert counts[name] == 1
    assert (counts["LLMChatStartEvent"], counts["LLMChatEndEvent"]) == (1, 1)
    told = counts["LLMStructuredPredictInProgressEvent"]
    assert told == (len(given) if "stream" in form else 0)
    [start] = [each for each in events.seen if "PredictStart" in type(each).__name__]
    assert start.output_cls is City
    assert start.template is PROMPT
    assert start.template_args == {"of": "France"}
    [end] = [each for each in events.seen if "PredictEnd" in type(each).__name__]
    assert end.output == City(**PARIS)


@pytest.mark.parametrize("method", ["structured_predict", "astructured_predict"])
def test_predictions_are_traced_as_the_framework_s_are(method):
    for kind in (YandexLLM, FunctionCallingLLM):
        assert hasattr(getattr(kind, method), DISPATCHER_SPAN_DECORATED_ATTR)


class Trip(BaseModel):
    stops: list[City]


@pytest.mark.parametrize("strict", [True, False])
def test_strict_goes_out_and_closes_every_object(words, strict, emulator, bodies):
    llm = YandexLLM(**words, strict=strict)
    emulator.script(answer("default", {"stops": []}), answer("function", {"stops": []}, "Trip"))
    llm.structured_predict(Trip, PROMPT, of="France")
    llm.pydantic_program_mode = "function"
    llm.structured_predict(Trip, PROMPT, of="France")
    described = bodies()[0]["response_format"]["json_schema"]
    function = bodies()[1]["tools"][0]["function"]
    assert described["strict"] is function["strict"] is strict
    for schema in (described["schema"], function["parameters"]):
        for each in (schema, *schema["$defs"].values()):
            assert ("additionalProperties" in each) is strict


class Atlas(BaseModel):
    counts: dict[str, int]
    capital: City | None = None


def test_strict_leaves_what_a_schema_says_itself_and_reaches_into_choices(words, emulator, bodies):
    emulator.script(answer("default", {"counts": {}}))
    YandexLLM(**words, strict=True).structured_predict(Atlas, PROMPT, of="France")
    schema = bodies()[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["counts"]["additionalProperties"] == {"type": "integer"}
    values = {"default": {"type": "object"}, "enum": [{"type": "object"}]}
    assert closed(values) == values
    assert closed({"properties": {"default": {"type": "object"}}})["properties"]["default"] == {
        "additionalProperties": False,
        "type": "object",
    }
    assert closed({"anyOf": [{"type": "object"}, {"type": "null"}]}) == {
        "anyOf": [{"additionalProperties": False, "type": "object"}, {"type": "null"}]
    }


def test_without_strict_nothing_is_said_of_it(llm, emulator, bodies):
    emulator.script(answer("default", PARIS))
    llm.structured_predict(City, PROMPT, of="France")
    assert "strict" not in bodies()[0]["response_format"]["json_schema"]


def test_a_schema_of_one_s_own_beside_the_prediction_is_refused(llm, emulator):
    words = {"response_format": {"type": "json_object"}}
    with pytest.raises(ConfigurationError, match="response_format"):
        llm.structured_predict(City, PROMPT, llm_kwargs=words, of="France")
    assert emulator.requests == []


def test_functions_are_not_asked_of_a_model_that_calls_none(words, emulator):
    llm = YandexLLM(**words, is_function_calling_model=False, pydantic_program_mode="function")
    with pytest.raises(UnsupportedError, match="yandexgpt"):
        llm.structured_predict(City, PROMPT, of="France")
    llm.pydantic_program_mode = "default"
    emulator.script(answer("default", PARIS))
    assert llm.structured_predict(City, PROMPT, of="France") == City(**PARIS)


def test_modes_of_other_packages_are_the_framework_s(llm):
    llm.pydantic_program_mode = "lm-format-enforcer"
    with pytest.raises(ImportError, match="lmformatenforcer"):
        llm.structured_predict(City, PROMPT, of="France")


@every_way
@pytest.mark.parametrize("form", ["stream", "astream"])
async def test_the_same_is_not_told_twice(qwen, way, form, emulator):
    qwen.pydantic_program_mode = way
    emulator.script(answer(way, {"name": "Тверь"} | {"people": 100}))
    *partial, _ = await predicted(qwen, form)
    told = [each.model_dump_json() for each in partial]
    assert len(told) == len(set(told))


class Shouted(BaseModel):
    name: str
    people: int = 0

    @model_validator(mode="before")
    @classmethod
    def _shout(cls, given: Any) -> Any:
        given["name"] = given["name"].upper()  # a KeyError while it is not there yet
        return given


@every_way
@pytest.mark.parametrize("form", ["stream", "astream"])
async def test_a_validator_that_fails_on_half_an_object_is_asked_again(qwen, way, form, emulator):
    qwen.pydantic_program_mode = way
    emulator.script(answer(way, {"people": 100, "name": "abc def ghi"}, "Shouted"))
    found = await predicted(qwen, form, Shouted)
    assert found[-1] == Shouted(name="abc def ghi", people=100)


IN_PROSE = [
    (City, 'The format {name} is used: {"name": "Париж"}', City(name="Париж")),
    (City, '{"about": {"name": "Тверь"}} {"name": "Париж"}', City(name="Париж")),
    (Cities, 'Based on [1]: [{"name": "Париж"}]', Cities([City(name="Париж")])),
    (RootModel[str], '"use {x} here"', RootModel[str]("use {x} here")),
    (RootModel[int], "5", RootModel[int](5)),
]


@every_form
@pytest.mark.parametrize(("output_cls", "text", "value"), IN_PROSE)
async def test_the_value_that_fits_is_found_in_a_text(llm, form, emulator, output_cls, text, value):
    emulator.script({"text": text})
    assert (await predicted(llm, form, output_cls))[-1] == value


async def test_a_text_full_of_braces_is_not_searched_to_its_end(llm, emulator):
    emulator.script({"text": "{ " * 20_000 + '{"name": "Париж"}'})
    with pytest.raises(MalformedAnswer):
        await predicted(llm, "apredict")


@every_way
@every_form
@pytest.mark.parametrize(
    "said",
    [{"tool_choice": "required"}, {"tool_required": True}, {"allow_parallel_tool_calls": False}],
)
async def test_what_is_said_of_functions_asks_for_nothing_elsewhere(
    model, way, form, said, emulator, bodies
):
    emulator.script(answer(way, PARIS))
    assert (await predicted(model, form, llm_kwargs=said))[-1] == City(**PARIS)
    assert ("tool_choice" in bodies()[0]) is (way == "function")


@every_way
@every_form
@pytest.mark.parametrize("word", ["tools", "messages", "chat_history"])
async def test_what_a_prediction_asks_with_is_not_the_caller_s(model, way, form, word, emulator):
    with pytest.raises(ConfigurationError, match=word):
        await predicted(model, form, llm_kwargs={word: []})
    assert emulator.requests == []


@pytest.mark.parametrize("way", ["default", "function"])
def test_a_class_that_holds_itself_goes_out_with_its_own_words(llm, way, emulator, bodies):
    llm.pydantic_program_mode = way
    emulator.script(answer(way, {"name": "a"}, "Node"))
    assert llm.structured_predict(Node, PROMPT, of="France") == Node(name="a")
    [body] = bodies()
    schema = (
        body["tools"][0]["function"]["parameters"]
        if way == "function"
        else body["response_format"]["json_schema"]["schema"]
    )
    assert schema["type"] == "object"
    assert schema["properties"].keys() == {"name", "children"}
    assert schema["$defs"]["Node"]["properties"].keys() == {"name", "children"}


def test_a_function_takes_no_list(llm, emulator):
    llm.pydantic_program_mode = "function"
    with pytest.raises(UnsupportedError, match=r"Cities.*pydantic_program_mode"):
        llm.structured_predict(Cities, PROMPT, of="France")
    assert emulator.requests == []


async def test_what_forgives_a_value_error_does_not_forgive_a_malformed_answer(llm, emulator):
    extractor = SchemaLLMPathExtractor(llm=llm)
    emulator.script({"text": '{"wrong": 1}'})
    with pytest.raises(MalformedAnswer):
        await extractor.acall([TextNode(text="Париж")])


@every_form
async def test_a_bracket_in_the_prose_is_not_the_beginning(llm, form, emulator):
    emulator.script({"text": 'See [1]: {"name": "Париж", "people": 2000000} and [2].'})
    assert (await predicted(llm, form))[-1] == City(**PARIS)


@pytest.mark.parametrize("form", ["stream", "astream"])
async def test_a_stream_that_tells_nothing_raises_by_name(llm, form, monkeypatch):  # T2
    def stream(*args: Any, **words: Any) -> Any:
        yield from ()

    async def astream(*args: Any, **words: Any) -> Any:
        for nothing in ():
            yield nothing

    monkeypatch.setattr(YandexClient, "stream", stream)
    monkeypatch.setattr(YandexClient, "astream", astream)
    with pytest.raises(MalformedAnswer, match="without an answer"):
        await predicted(llm, form)


@every_way
async def test_a_stream_of_objects_that_is_closed_closes_the_connection(qwen, way, emulator):
    qwen.pydantic_program_mode = way
    emulator.script({**answer(way, {"name": "один два " * 200}), "delay": 0.02})
    stream = qwen.stream_structured_predict(City, PROMPT, of="France")
    await asyncio.to_thread(next, stream)
    stream.close()
    await asyncio.to_thread(emulator.settle)
    assert emulator.requests[-1]["closed_early"]


# The model that is bound to a class.

JSON = pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # the framework's own


@JSON
@every_way
async def test_a_structured_llm_in_all_its_methods(model, way, emulator, bodies):
    bound = model.as_structured_llm(City)
    emulator.script(*[answer(way, PARIS)] * 6)
    asked = [ChatMessage("Capital of {country} {{of}}?")]
    responses = [bound.chat(asked), await bound.achat(asked)]
    responses += [list(bound.stream_chat(asked))[-1]]
    responses += [[each async for each in await bound.astream_chat(asked)][-1]]
    assert [response.raw for response in responses] == [City(**PARIS)] * 4
    for response in responses:
        assert City.model_validate_json(response.message.content) == City(**PARIS)
    assert bound.complete("Capital?").raw == City(**PARIS)
    assert (await bound.acomplete("Capital?")).raw == City(**PARIS)
    assert [bool(body.get("stream")) for body in bodies()] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    for body in bodies()[:4]:
        assert body["messages"][0]["content"].startswith("Capital of {country} {{of}}?")


async def test_a_structured_llm_streams_no_completion(llm):  # T17: the framework's own
    bound = llm.as_structured_llm(City)
    with pytest.raises(NotImplementedError):
        bound.stream_complete("Hi")
    with pytest.raises(NotImplementedError):
        await bound.astream_complete("Hi")


# Engines and agents.

MODES = ("compact", "refine", "tree_summarize")


@every_way
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_output_classes_of_query_engines(
    model, way, mode, asynchronous, embedding, emulator, bodies
):
    index = VectorStoreIndex.from_documents(
        [Document(text=text) for text in ("Париж велик.", "Тверь мала.")], embed_model=embedding
    )
    engine = index.as_query_engine(
        llm=model, output_cls=City, response_mode=mode, similarity_top_k=2
    )
    asked = 2 if mode == "refine" else 1
    emulator.script(*[answer(way, PARIS)] * asked)
    found = await engine.aquery("?") if asynchronous else await asyncio.to_thread(engine.query, "?")
    assert found.response == City(**PARIS)
    assert len(bodies()) == asked
    assert all(bool(body.get("tools")) is (way == "function") for body in bodies())


class Answered(BaseModel):
    answer: str


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
async def test_what_engines_that_stream_make_of_output_classes(llm, mode, emulator, bodies):
    """The framework's own: it passes on what has an `answer`, or asks for plain text."""
    index = SummaryIndex.from_documents([Document(text="Париж")])

    def streamed(output_cls: type[BaseModel], said: Any) -> str:
        engine = index.as_query_engine(
            llm=llm, output_cls=output_cls, response_mode=mode, streaming=True
        )
        emulator.script(answer("default", said))
        found = engine.query("?")
        return "".join(map(str, getattr(found, "response_gen", [found])))

    plain = mode == "tree_summarize"
    told = [
        await asyncio.to_thread(streamed, City, PARIS),
        await asyncio.to_thread(streamed, Answered, {"answer": "Париж"}),
    ]
    assert [bool(body.get("response_format")) for body in bodies()] == [not plain] * 2
    assert [("Париж" in text) for text in told] == [plain, True]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_accumulated_objects(llm, asynchronous, emulator, bodies):
    index = SummaryIndex.from_documents([Document(text=text) for text in ("Париж", "Тверь")])
    engine = index.as_query_engine(llm=llm, output_cls=City, response_mode="accumulate")
    emulator.script(answer("default", PARIS), answer("default", {"name": "Тверь"}))
    found = await engine.aquery("?") if asynchronous else await asyncio.to_thread(engine.query, "?")
    assert "Париж" in str(found)
    assert "Тверь" in str(found)
    assert [body["response_format"]["type"] for body in bodies()] == ["json_schema"] * 2


@every_way
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_engine_s_wrong_object_is_no_empty_response(
    model, way, mode, asynchronous, emulator
):  # T4
    index = SummaryIndex.from_documents([Document(text="Париж")])
    engine = index.as_query_engine(llm=model, output_cls=City, response_mode=mode)
    emulator.script(answer(way, {"people": 1}))
    with pytest.raises(YandexError, match="name: Field required"):
        await engine.aquery("?") if asynchronous else await asyncio.to_thread(engine.query, "?")


@every_way
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_agent_with_an_output_class(model, way, streaming, emulator, bodies):
    agent = FunctionAgent(llm=model, tools=[], output_cls=City, streaming=streaming)
    emulator.script({"text": "It is Paris."}, answer(way, PARIS))
    output = await agent.run("Capital?")
    assert output.get_pydantic_model(City) == City(**PARIS)
    first, second = bodies()
    assert bool(first.get("stream")) is streaming
    assert "stream" not in second
    assert "<current_conversation>" in str(second["messages"][-1]["content"])


@every_way
@pytest.mark.filterwarnings("ignore:There was a problem with the generation:UserWarning")
async def test_an_agent_s_wrong_object_is_a_warning_of_the_framework_s(model, way, emulator):
    agent = FunctionAgent(llm=model, tools=[], output_cls=City)
    emulator.script({"text": "It is Paris."}, answer(way, {"people": 1}))
    output = await agent.run("Capital?")
    assert output.structured_response is None
    assert str(output) == "It is Paris."


def test_a_parser_of_the_framework_s_reads_fenced_answers_too(llm, emulator):
    emulator.script({"text": '```json\n{"name": "Париж"}\n```'})
    parser = PydanticOutputParser(City)
    assert parser.parse(llm.complete("Capital?").text) == City(name="Париж")
