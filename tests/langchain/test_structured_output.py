"""Structured output: every kind of schema, by every method, and what is no answer to it."""

import dataclasses
import json
from functools import reduce
from operator import add
from typing import Generic, TypedDict, TypeVar

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from pydantic import BaseModel, ConfigDict, TypeAdapter, field_validator
from pydantic.v1 import BaseModel as BaseModelV1
from pydantic_core import to_jsonable_python

from yandex_compat import ConfigurationError

YANDEX, OPEN = "yandexgpt", "qwen3-235b-a22b-fp8"
METHODS = pytest.mark.parametrize("method", ["json_schema", "function_calling"])
T = TypeVar("T")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


class PersonV1(BaseModelV1):
    """A person."""

    name: str
    age: int


@dataclasses.dataclass
class PersonData:
    """A person."""

    name: str
    age: int


SCHEMAS = [Person, PersonDict, PersonV1, PersonData, Person.model_json_schema()]


UNTITLED = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=["v2", "TypedDict", "v1", "dataclass", "dict"])
def test_every_kind_of_schema(make, schema, method):
    model = make().with_structured_output(schema, method=method)
    person = model.invoke("Name: Anna Petrova. Age: 31.")
    if isinstance(schema, type) and schema is not PersonDict:
        assert isinstance(person, schema)
        person = {"name": person.name, "age": person.age}
    assert person == {"name": "Anna Petrova", "age": 31}


def test_a_schema_without_a_title(make, body):
    assert make().with_structured_output(UNTITLED).invoke("Age: 31.") == {"age": 31}
    form = body()["response_format"]
    assert form["json_schema"]["name"] == "answer"


@pytest.mark.parametrize("strict", [True, False, None])
def test_strict_is_sent_where_it_is_given(make, strict, body):
    make().with_structured_output(Person, strict=strict).invoke("Name: A. Age: 3.")
    described = body()["response_format"]["json_schema"]
    assert described.get("strict") is strict


def test_json_mode_parses_what_the_prompt_describes(make, emulator, body):
    model = make().with_structured_output(Person, method="json_mode")
    emulator.script({"text": '```json\n{"name": "Anna", "age": 31}\n```'})
    assert model.invoke("Give 'name' and 'age'.") == Person(name="Anna", age=31)
    assert body()["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_cut_by_max_tokens_is_told_by_name(make, emulator, method, streamed):
    cut = '{"name": "Anna", "age": 3'
    answer = (
        {"text": cut}
        if method == "json_schema"
        else {"tool_calls": [{"name": "Person", "arguments": cut}]}
    )
    emulator.script(answer | {"finish_reason": "length"})
    model = make().with_structured_output(Person, method=method)
    with pytest.raises(OutputParserException, match="max_tokens"):
        list(model.stream("?")) if streamed else model.invoke("?")


def test_include_raw_keeps_the_answer_beside_the_error(make, emulator):
    emulator.script({"text": "no JSON at all"}, {"text": '{"name": "Anna", "age": 31}'})
    model = make().with_structured_output(Person, include_raw=True)
    failed = model.invoke("?")
    assert failed["raw"].text == "no JSON at all"
    assert failed["parsed"] is None
    assert isinstance(failed["parsing_error"], OutputParserException)
    assert model.invoke("?")["parsed"] == Person(name="Anna", age=31)


def test_partial_objects_are_streamed(make, emulator):
    emulator.script({"text": '{"name": "Anna Petrova", "age": 31}'})
    model = make(model=OPEN).with_structured_output(Person.model_json_schema())
    objects = list(model.stream("?"))
    assert len(objects) > 2
    assert objects[-1] == {"name": "Anna Petrova", "age": 31}


def test_tools_stand_beside_a_schema(make, weather, body):
    model = make().with_structured_output(Person, tools=[weather])
    model.invoke("Name: Anna. Age: 31.")
    assert body()["tools"][0]["function"]["name"] == "weather"


@pytest.mark.parametrize(
    ("schema", "method"), [(Person, "magic"), (None, "json_schema"), (3, "json_schema")]
)
def test_a_plan_that_can_t_be_made(make, schema, method):
    with pytest.raises(ConfigurationError):
        make().with_structured_output(schema, method=method)


class Box(BaseModel, Generic[T]):
    """A box."""

    value: T


class Card(BaseModel):
    model_config = ConfigDict(title="A card, größer: " + "x" * 80)

    value: int


@METHODS
@pytest.mark.parametrize("schema", [Box[int], Card, Card.model_json_schema()], ids=str)
def test_a_title_with_signs_that_no_name_may_have(make, body, schema, method):
    model = make().with_structured_output(schema, method=method)
    answer = model.invoke("Value: 5.")
    assert answer == (schema(value=5) if isinstance(schema, type) else {"value": 5})
    if method == "function_calling":
        name = body()["tools"][0]["function"]["name"]
        assert body()["tool_choice"]["function"]["name"] == name
    else:
        name = body()["response_format"]["json_schema"]["name"]
    assert name.isascii()
    assert name.replace("_", "").replace("-", "").isalnum()
    assert len(name) <= 64


def called(name, arguments):
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


UNUSABLE = [
    called("Person", "[1]"),
    called("Person", '{"name": "Anna"'),
    called("Person", "null"),
    called("Human", {"name": "Anna", "age": 31}),
]


@pytest.mark.parametrize("answer", UNUSABLE, ids=str)
@pytest.mark.parametrize("schema", [Person, PersonV1, PersonData, PersonDict])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_that_is_no_answer_is_an_error(make, emulator, answer, schema, streamed):
    name = schema.__name__
    text = answer["tool_calls"][0]
    emulator.script({"tool_calls": [text | {"name": text["name"].replace("Person", name)}]})
    model = make(model=OPEN).with_structured_output(schema, method="function_calling")
    with pytest.raises(OutputParserException, match=name):
        list(model.stream("?")) if streamed else model.invoke("?")


@pytest.mark.parametrize("answer", UNUSABLE, ids=str)
@pytest.mark.parametrize("schema", [Person, PersonDict])
def test_include_raw_keeps_the_call_beside_the_error(make, emulator, answer, schema):
    emulator.script(
        {
            "tool_calls": [
                call | {"name": call["name"].replace("Person", schema.__name__)}
                for call in answer["tool_calls"]
            ]
        }
    )
    model = make().with_structured_output(schema, method="function_calling", include_raw=True)
    found = model.invoke("?")
    assert isinstance(found["parsing_error"], OutputParserException)
    assert found["parsed"] is None
    assert isinstance(found["raw"], AIMessage)
    [call] = found["raw"].tool_calls + found["raw"].invalid_tool_calls
    assert call["name"] == answer["tool_calls"][0]["name"].replace("Person", schema.__name__)


@METHODS
@pytest.mark.parametrize("schema", [Person, PersonV1, PersonData], ids=["v2", "v1", "dataclass"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_object_of_the_wrong_shape_is_an_error(make, emulator, schema, method, streamed):
    wrong = {"name": "Anna", "age": "many"}
    text = '{"name": "Anna", "age": "many"}'
    emulator.script({"text": text} if method == "json_schema" else called(schema.__name__, wrong))
    model = make(model=OPEN).with_structured_output(schema, method=method)
    with pytest.raises(OutputParserException, match=rf"(?s)no {schema.__name__}.*age") as caught:
        list(model.stream("?")) if streamed else model.invoke("?")
    if method == "json_schema":
        assert caught.value.llm_output == text


@pytest.mark.parametrize("text", ["no JSON at all", "", "Anna: {"])
@pytest.mark.parametrize("schema", [Person, PersonDict])
@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
@pytest.mark.parametrize("streamed", [False, True])
def test_text_that_is_no_json_is_an_error(make, emulator, text, schema, method, streamed):
    emulator.script({"text": text})
    model = make(model=OPEN).with_structured_output(schema, method=method)
    with pytest.raises(OutputParserException):
        list(model.stream("?")) if streamed else model.invoke("?")


@METHODS
@pytest.mark.parametrize("schema", [Person, PersonV1, PersonData], ids=["v2", "v1", "dataclass"])
def test_a_streamed_instance_comes_when_it_is_one(make, emulator, schema, method):
    text = '{"name": "Anna Petrova", "age": 31}'
    answer = {"text": text} if method == "json_schema" else called(schema.__name__, text)
    emulator.script(answer)
    model = make(model=OPEN).with_structured_output(schema, method=method)
    objects = [each for each in model.stream("?") if each is not None]
    assert objects
    assert all(type(each) is schema for each in objects)
    assert (objects[-1].name, objects[-1].age) == ("Anna Petrova", 31)


@METHODS
@pytest.mark.parametrize(
    "schema", [PersonDict, Person.model_json_schema()], ids=["TypedDict", "dict"]
)
def test_streamed_dicts_grow(make, emulator, schema, method):
    name = "PersonDict" if schema is PersonDict else "Person"
    text = '{"name": "Anna Petrova", "age": 31}'
    emulator.script({"text": text} if method == "json_schema" else called(name, text))
    model = make(model=OPEN).with_structured_output(schema, method=method)
    objects = [each for each in model.stream("?") if each]
    assert objects[0] != objects[-1] == {"name": "Anna Petrova", "age": 31}


class Defaults(BaseModel):
    """Every beginning of it is one."""

    name: str = ""
    age: int = 0


@METHODS
def test_streamed_instances_grow_where_they_can(make, emulator, method):
    text = '{"name": "Anna Petrova", "age": 31}'
    emulator.script({"text": text} if method == "json_schema" else called("Defaults", text))
    model = make(model=OPEN).with_structured_output(Defaults, method=method)
    objects = [each for each in model.stream("?") if each is not None]
    assert objects[0] != objects[-1] == Defaults(name="Anna Petrova", age=31)
    assert len(objects) > 2


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("replaces", [False, True])
def test_a_content_filter_is_told_by_name(make, emulator, method, streamed, replaces):
    filtered = {"text": "I can't talk about that.", "finish_reason": "content_filter"}
    if replaces:
        filtered |= {"text": '{"name": "An', "replaced_by": "I can't talk about that."}
    emulator.script(filtered)
    model = make(model=OPEN).with_structured_output(Person, method=method)
    with pytest.raises(OutputParserException, match=r"content_filter.*I can't talk about that"):
        list(model.stream("?")) if streamed else model.invoke("?")


@pytest.mark.parametrize(
    "text", ['{"name": "Anna", "age": 31}', '```json\n{"name": "Anna", "age": 31}\n```']
)
def test_fenced_json_is_read_as_well(make, emulator, text):  # D9
    emulator.script({"text": text})
    assert make().with_structured_output(Person).invoke("?") == Person(name="Anna", age=31)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_the_schema_is_traced(make, method):  # M36
    bound = make().with_structured_output(Person, method=method).first
    traced = bound.kwargs["ls_structured_output_format"]
    assert traced["kwargs"] == {"method": method}
    assert traced["schema"]["properties"].keys() == {"name", "age"}


def test_words_of_the_call_go_along(make, body):
    make().with_structured_output(Person, temperature=0.7).invoke("Name: A. Age: 3.")
    assert body()["temperature"] == 0.7


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("schema", [Person, Person.model_json_schema()], ids=["class", "dict"])
def test_json_that_was_cut_anywhere_is_not_mended(make, emulator, schema, streamed):
    emulator.script({"text": '{"name": "Anna", "age": 3'})
    model = make().with_structured_output(schema)
    with pytest.raises(OutputParserException):
        list(model.stream("?")) if streamed else model.invoke("?")


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_of_null_is_no_object(make, emulator, streamed):
    emulator.script({"text": "null"})
    model = make().with_structured_output(Person)
    with pytest.raises(OutputParserException):
        list(model.stream("?")) if streamed else model.invoke("?")


class Node(BaseModel):
    """A tree."""

    name: str
    children: list["Node"] = []


class Forest(BaseModel):
    """Trees."""

    trees: list[Node]


@dataclasses.dataclass
class NodeData:
    """A tree."""

    name: str
    children: list["NodeData"]


@METHODS
@pytest.mark.parametrize("strict", [True, False])
def test_strict_is_sent_by_every_method_that_has_it(make, body, method, strict):
    make().with_structured_output(Person, method=method, strict=strict).invoke("Name: A. Age: 3.")
    if method == "json_schema":
        assert body()["response_format"]["json_schema"]["strict"] is strict
    else:
        assert body()["tools"][0]["function"]["strict"] is strict


def test_strict_is_refused_where_it_would_be_dropped(make):  # D8
    with pytest.raises(ConfigurationError, match="strict"):
        make().with_structured_output(Person, method="json_mode", strict=True)


@METHODS
@pytest.mark.parametrize(
    "schema",
    [Node, NodeData, Node.model_json_schema(), Forest],
    ids=lambda s: getattr(s, "__name__", "dict"),
)
def test_a_schema_that_refers_to_itself_goes_out_whole(make, emulator, body, schema, method):
    name = getattr(schema, "__name__", "Node")
    value = {"trees": []} if schema is Forest else {"name": "root", "children": []}
    emulator.script({"text": json.dumps(value)} if method == "json_schema" else called(name, value))
    answer = make().with_structured_output(schema, method=method).invoke("?")
    assert (answer if isinstance(answer, dict) else to_jsonable_python(answer)) == value
    if method == "json_schema":
        sent = body()["response_format"]["json_schema"]["schema"]
    else:
        sent = body()["tools"][0]["function"]["parameters"]
    assert "$ref" not in sent
    [definition] = sent["$defs"].values()
    assert definition["properties"]["children"]["items"]["$ref"].startswith("#/$defs/Node")


LIST = TypeAdapter(list[Person]).json_schema()


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (LIST, [{"name": "A", "age": 3}]),
        ({"title": "Colour", "enum": ["red", "blue"]}, "red"),
        (TypeAdapter(Person | Node).json_schema(), {"name": "A", "age": 3}),
    ],
    ids=["array", "enum", "union"],
)
def test_a_schema_of_no_object_goes_out_as_it_is(make, emulator, body, schema, answer):
    emulator.script({"text": json.dumps(answer)})
    assert make().with_structured_output(schema).invoke("?") == answer
    sent = dict(body()["response_format"]["json_schema"]["schema"])
    assert sent.pop("title") in {"answer", "Colour"}
    assert sent == {word: value for word, value in schema.items() if word != "title"}
    with pytest.raises(ConfigurationError, match="json_schema"):
        make().with_structured_output(schema, method="function_calling")


def test_a_schema_as_response_format_holds_it(make, body):
    make().with_structured_output({"name": "Ages", "schema": UNTITLED}).invoke("Age: 31.")
    sent = body()["response_format"]["json_schema"]
    assert sent["name"] == "Ages"
    assert sent["schema"]["properties"] == UNTITLED["properties"]


@pytest.mark.parametrize("text", ["12 monkeys", "true story", "[1]"])
def test_json_that_is_no_object_is_no_answer_to_an_object_s_schema(make, emulator, text):
    emulator.script({"text": text})
    with pytest.raises(OutputParserException, match="no JSON object"):
        make().with_structured_output(UNTITLED).invoke("?")


@METHODS
@pytest.mark.parametrize("schema", [Person, PersonDict])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_streamed_raw_answer_keeps_the_error_beside_it(
    make, emulator, schema, method, asynchronous
):
    cut = '{"name": "Anna", "age": 3'
    answer = {"text": cut} if method == "json_schema" else called(schema.__name__, cut)
    emulator.script(answer | {"finish_reason": "length"})
    model = make(model=OPEN).with_structured_output(schema, method=method, include_raw=True)
    if asynchronous:
        pieces = [piece async for piece in model.astream("?")]
    else:
        pieces = list(model.stream("?"))
    found = reduce(add, pieces)
    assert "max_tokens" in str(found["parsing_error"])
    assert found["raw"].response_metadata["finish_reason"] == "length"


@METHODS
def test_a_streamed_raw_answer_comes_with_what_was_parsed(make, emulator, method):
    text = '{"name": "Anna Petrova", "age": 31}'
    emulator.script({"text": text} if method == "json_schema" else called("PersonDict", text))
    model = make(model=OPEN).with_structured_output(PersonDict, method=method, include_raw=True)
    pieces = list(model.stream("?"))
    assert len([piece for piece in pieces if "raw" in piece]) > 2
    found = reduce(add, pieces)
    assert found["parsed"] == {"name": "Anna Petrova", "age": 31}
    assert found["parsing_error"] is None


@pytest.mark.parametrize("schema", [Person, PersonDict])
def test_a_call_of_a_tool_beside_the_schema_is_no_error(make, emulator, weather, schema):
    emulator.script({"tool_calls": [{"name": "weather", "arguments": {"city": "A"}}]})
    model = make().with_structured_output(schema, tools=[weather], include_raw=True)
    found = model.invoke("?")
    assert (found["parsed"], found["parsing_error"]) == (None, None)
    assert [call["name"] for call in found["raw"].tool_calls] == ["weather"]


def test_an_end_without_a_reason_is_an_end(make, emulator):  # D10
    event = 'data: {"choices":[{"delta":{"content":"no JSON"}}]}\n\ndata: [DONE]\n\n'
    emulator.script({"chunks": [event]})
    with pytest.raises(OutputParserException):
        list(make().with_structured_output(Person).stream("?"))


def test_json_nested_too_deeply_is_a_parsing_error(make, emulator):
    emulator.script({"text": "[" * 100_000})
    found = make().with_structured_output(Person, include_raw=True).invoke("?")
    assert isinstance(found["parsing_error"], OutputParserException)


FORM = {"name": "Ages", "description": "How old", "schema": UNTITLED, "strict": True}


@pytest.mark.parametrize("form", [FORM, {"type": "json_schema", "json_schema": FORM}])
def test_all_of_a_response_format_goes_out(make, body, form):  # D8
    make().with_structured_output(form).invoke("Age: 31.")
    sent = body()["response_format"]["json_schema"]
    assert (sent["name"], sent["strict"]) == ("Ages", True)
    assert sent["schema"]["description"] == "How old"


class Picky(BaseModel):
    """A validator of the user's, that raises what it likes."""

    name: str

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        raise KeyError(name)


@METHODS
@pytest.mark.parametrize("streamed", [False, True])
def test_whatever_a_validator_raises_stands_beside_the_raw_answer(make, emulator, method, streamed):
    value = {"name": "Anna"}
    emulator.script(
        {"text": json.dumps(value)} if method == "json_schema" else called("Picky", value)
    )
    model = make().with_structured_output(Picky, method=method, include_raw=True)
    found = reduce(add, model.stream("?")) if streamed else model.invoke("?")
    assert isinstance(found["parsing_error"], KeyError)
    assert found["raw"].response_metadata["finish_reason"]


def test_a_response_format_that_is_strict_may_be_described_in_json_mode(make, emulator):
    emulator.script({"text": '{"age": 31}'})
    model = make().with_structured_output(FORM, method="json_mode")
    assert model.invoke("Give 'age'.") == {"age": 31}


FUNCTION = {"name": "Ages", "description": "How old", "parameters": UNTITLED}


@METHODS
@pytest.mark.parametrize("schema", [FUNCTION, {"type": "function", "function": FUNCTION}])
def test_an_openai_function_is_a_schema(make, body, schema, method):  # M35
    assert make().with_structured_output(schema, method=method).invoke("Age: 31.") == {"age": 31}
    if method == "json_schema":
        sent = body()["response_format"]["json_schema"]
        assert (sent["name"], sent["schema"]["description"]) == ("Ages", "How old")
    else:
        sent = body()["tools"][0]["function"]
        assert (sent["name"], sent["description"]) == ("Ages", "How old")


def test_a_reference_to_elsewhere_is_left_to_the_service(make, emulator, body):
    emulator.script({"text": "7"})
    schema = {"title": "Far", "$ref": "https://example.com/schema.json"}
    assert make().with_structured_output(schema).invoke("?") == 7
    assert body()["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize("text", ['{"age": 31}', "[31]"])
def test_json_mode_without_a_schema_takes_any_json(make, emulator, text):
    emulator.script({"text": text})
    model = make().with_structured_output(None, method="json_mode")
    assert model.invoke("Give JSON.") == json.loads(text)
