"""Copies: instances that no validation made, as alike as two that it did."""

import copy
import pickle

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock
from pydantic import BaseModel, PrivateAttr

from yandex_compat.copies import Copies


class Open(BaseModel, extra="allow"):
    names: list[str] = []
    kinds: set[int] = {1}
    more: dict[str, int] = {}
    number: int = 0


class WithPrivate(BaseModel):
    _secret: list[int] = PrivateAttr(default_factory=list)


MADE = {
    "LangChain's message": (
        Copies(AIMessageChunk(content="", response_metadata={"a": "b"}), "content").of(content="x"),
        AIMessageChunk(content="x", response_metadata={"a": "b"}),
    ),
    "LangChain's chunk": (
        Copies(ChatGenerationChunk(message=AIMessageChunk(content="")), "message", "text").of(
            message=AIMessageChunk(content="x"), text="x"
        ),
        ChatGenerationChunk(message=AIMessageChunk(content="x")),
    ),
    "LlamaIndex's message": (
        Copies(ChatMessage(role=MessageRole.ASSISTANT), "blocks").of(blocks=[TextBlock(text="x")]),
        ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text="x")]),
    ),
    "LlamaIndex's response": (
        Copies(ChatResponse(message=ChatMessage()), "message", "delta").of(
            message=ChatMessage("x"), delta="x"
        ),
        ChatResponse(message=ChatMessage("x"), delta="x"),
    ),
}


@pytest.mark.parametrize(("made", "validated"), MADE.values(), ids=MADE.keys())
def test_an_instance_is_what_validation_makes(made, validated):
    assert type(made) is type(validated)
    assert made == validated
    assert repr(made) == repr(validated)
    assert made.model_dump() == validated.model_dump()
    assert made.model_fields_set == validated.model_fields_set
    assert made.model_dump(exclude_unset=True) == validated.model_dump(exclude_unset=True)
    assert made.__getstate__().keys() == validated.__getstate__().keys()
    assert (
        made.__getstate__()["__pydantic_extra__"]
        == (validated.__getstate__()["__pydantic_extra__"])
    )
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == validated


def test_no_two_instances_share_what_can_change():
    copies = Copies(Open(), "number")
    one, other = copies.of(number=1), copies.of(number=2)
    one.names.append("a")
    one.kinds.add(2)
    one.more["b"] = 3
    one.added = 4
    one.number = 5
    one.model_fields_set.add("c")
    assert other == copies.of(number=2) == Open(number=2)
    assert "c" not in other.model_fields_set
    assert other.model_extra == {}


def test_what_is_given_stands_for_a_container_too():
    names = ["a"]
    assert Copies(Open(names=["b"]), "names").of(names=names).names is names


@pytest.mark.parametrize("model", [Open(added=1), WithPrivate()], ids=["extra", "private"])
def test_what_a_model_holds_beside_its_fields_is_kept(model):
    made = Copies(model).of()
    assert made == model
    assert made.model_fields_set == model.model_fields_set
    assert (
        made.__getstate__()["__pydantic_private__"]
        == (model.__getstate__()["__pydantic_private__"])
    )


def test_nor_do_two_share_what_they_hold_beside_their_fields():
    for copies, beside in (
        (Copies(WithPrivate()), lambda one: one._secret),
        (Copies(Open(added=[])), lambda one: one.added),
    ):
        one, other = copies.of(), copies.of()
        beside(one).append(1)
        assert beside(other) == beside(copies.of()) == []
