import base64
from io import BytesIO

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.llm import ToolSelection

from llamaindex_yandex_compat import YandexLLM
from llamaindex_yandex_compat.messages import to_neutral
from yandex_compat import (
    ConfigurationError,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    UnsupportedError,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def neutral(*blocks, role="user", **extras):
    [message] = to_neutral([ChatMessage(role=role, blocks=blocks, additional_kwargs=extras)])
    return message


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("system", "system"),
        ("developer", "system"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("model", "assistant"),
        ("chatbot", "assistant"),
        ("tool", "tool"),
        ("function", "tool"),
    ],
)
def test_every_role_of_the_framework_has_its_place(role, expected):
    assert neutral(TextBlock(text="x"), role=role).role == expected
    assert len(MessageRole) == 8


def test_texts_stay_apart_and_one_stays_plain():
    assert neutral(TextBlock(text="a")).content == "a"
    assert neutral(TextBlock(text="a"), TextBlock(text="b")).content == (
        TextPart("a"),
        TextPart("b"),
    )
    assert neutral().content == ""


def test_thoughts_and_cache_points_are_left_out():
    point = CachePoint(cache_control=CacheControl(type="ephemeral"))
    blocks = (ThinkingBlock(content="hm"), TextBlock(text="a"), point)
    assert neutral(*blocks, role="assistant") == Message("assistant", "a")


def test_cited_texts_are_sent_as_text():
    citable = CitableBlock(title="t", source="s", content="cited")
    citation = CitationBlock(title="t", source="s", cited_content="c", additional_location_info={})
    assert neutral(citable, citation).content == (TextPart("cited"), TextPart("c"))


def test_images_become_data_urls(tmp_path):
    path = tmp_path / "dot.png"
    path.write_bytes(PNG)
    for block in (
        ImageBlock(image=PNG),
        ImageBlock(image=PNG, image_mimetype="image/png"),
        ImageBlock(image=BytesIO(PNG)),
        ImageBlock(path=path),
        ImageBlock(url=PNG_URL),
    ):
        assert neutral(block).content == (ImagePart(PNG_URL),)


def test_an_image_is_read_again_each_time_it_is_sent():
    block = ImageBlock(image=BytesIO(PNG), image_mimetype="image/png")
    for _ in range(2):
        assert neutral(block).content == (ImagePart(PNG_URL),)


def test_a_remote_image_is_not_downloaded_and_refused(words, emulator):
    message = ChatMessage(blocks=[ImageBlock(url="https://example.com/dot.png")])
    with pytest.raises(UnsupportedError, match="base64"):
        YandexLLM(**words, model="gemma-3-27b-it").chat([message])
    assert emulator.requests == []


def test_the_address_of_an_image_goes_to_the_core_as_it_is():
    block = ImageBlock(url="https://example.com/dot.png")
    assert neutral(block).content == (ImagePart("https://example.com/dot.png"),)


REFUSED = [
    (ImageBlock(image=b"no image"), "image_mimetype"),
    (ImageBlock(image=PNG, detail="high"), "detail"),
    (ImageBlock(image_mimetype="image/png"), "image"),
    (AudioBlock(audio=b"RIFF", format="wav"), "audio"),
    (VideoBlock(video=b"..", video_mimetype="video/mp4"), "video"),
    (DocumentBlock(data=b"%PDF-1.4 ...", title="report"), "document.*report"),
    (DocumentBlock(url="https://example.com/a.txt"), "document"),
    (DocumentBlock(data=b"\xff\xfe\xff", document_mimetype="text/plain"), "UTF-8"),
    (ToolCallBlock(tool_name="f"), "tool_call"),
]


@pytest.mark.parametrize(("block", "named"), REFUSED)
def test_what_cannot_be_sent_is_named(block, named):
    with pytest.raises(UnsupportedError, match=named):
        neutral(block)


async def consumed(llm, form, messages):
    answer = getattr(llm, form)(messages)
    if form.startswith("a"):
        answer = await answer
    if form.startswith("astream"):
        return [response async for response in answer]
    return list(answer) if form.startswith("stream") else answer


@pytest.mark.parametrize(("block", "named"), REFUSED)
@pytest.mark.parametrize("form", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_what_cannot_be_sent_is_refused_before_any_request(
    words, emulator, block, named, form
):
    llm = YandexLLM(**words, model="gemma-3-27b-it")
    with pytest.raises(UnsupportedError, match=named):
        await consumed(llm, form, [ChatMessage(blocks=[block])])
    assert emulator.requests == []


def test_documents_of_text_are_sent_as_text(tmp_path):
    path = tmp_path / "note.md"
    path.write_text("Заметка", encoding="utf-8")
    assert neutral(DocumentBlock(path=path)).content == "Заметка"
    assert neutral(DocumentBlock(data=b"{}", document_mimetype="application/json")).content


def test_images_reach_a_model_that_sees(words, bodies):
    message = ChatMessage(blocks=[TextBlock(text="What is it?"), ImageBlock(image=PNG)])
    YandexLLM(**words, model="gemma-3-27b-it").chat([message])
    assert bodies()[-1]["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": PNG_URL}},
    ]
    with pytest.raises(UnsupportedError, match="yandexgpt"):
        YandexLLM(**words).chat([message])


def test_calls_are_read_from_blocks_and_stand_once():
    legacy = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    block = ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs={"город": "Омск"})
    message = neutral(block, role="assistant", tool_calls=legacy)
    assert message.tool_calls == (ToolCall("1", "f", '{"город":"Омск"}'),)
    assert message.content == ""


def test_legacy_calls_are_read_where_there_are_no_blocks():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert neutral(role="assistant", tool_calls=[call]).tool_calls == (
        ToolCall("1", "f", '{"a":1}'),
    )
    selection = ToolSelection(tool_id="1", tool_name="f", tool_kwargs={})
    with pytest.raises(UnsupportedError, match="ToolCallBlock"):
        neutral(role="assistant", tool_calls=[selection])


def test_arguments_without_a_json_form_are_refused():
    block = ToolCallBlock(tool_name="f", tool_kwargs={"a": object()})
    with pytest.raises(ConfigurationError, match="'f'"):
        neutral(block, role="assistant")


def test_results_keep_their_call_and_name():
    message = neutral(TextBlock(text="5"), role="tool", tool_call_id="1", name="f")
    assert message == Message("tool", "5", tool_call_id="1", name="f")
    # After return_direct an agent stamps the id on its own answer.
    assert neutral(TextBlock(text="5"), role="assistant", tool_call_id="1").tool_call_id is None


def history(*messages):
    return [
        ChatMessage(role=role, blocks=blocks, additional_kwargs=extras)
        for role, blocks, extras in messages
    ]


def text(words):
    return [TextBlock(text=words)]


def call(call_id, name, **arguments):
    return ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments)


def result(call_id, words):
    return ("tool", text(words), {"tool_call_id": call_id})


ODD_HISTORIES = {  # T5
    "return_direct": history(
        ("user", text("Hi"), {}),
        ("assistant", [call("1", "f"), call("2", "g")], {}),
        result("1", "one"),
        ("assistant", text("one"), {"tool_call_id": "1"}),
        ("user", text("And?"), {}),
    ),
    "early stopping": history(
        ("user", text("Hi"), {}), ("system", text("maximum number of iterations"), {})
    ),
    "empty answer retried": history(
        ("user", text("Hi"), {}),
        ("assistant", [], {}),
        ("user", text("Observation: say something"), {}),
        ("user", text("Now"), {}),
    ),
    "result without call": history(result("9", "lost"), ("user", text("Hi"), {})),
    "results out of order": history(
        ("user", text("Hi"), {}),
        ("assistant", [call("1", "f", a=1), call("2", "f", a=2)], {}),
        result("2", "two"),
        result("1", "one"),
    ),
    "broken arguments": history(
        ("user", text("Hi"), {}),
        ("assistant", [ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs='{"a":')], {}),
        result("1", "failed"),
    ),
    "empty arguments": history(
        ("user", text("Hi"), {}),
        ("assistant", [ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs="")], {}),
        result("1", "ok"),
    ),
}


@pytest.mark.parametrize("name", ODD_HISTORIES)
def test_histories_that_the_framework_produces_are_taken(llm, name):
    # The emulator refuses calls without results, and results without calls.
    assert llm.chat(ODD_HISTORIES[name]).message.content
