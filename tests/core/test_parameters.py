"""The words of a generation: taken, left out, or refused by name."""

import pytest

from yandex_compat import (
    ConfigurationError,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
    UnsupportedError,
)
from yandex_compat.parameters import (
    asks_for_nothing,
    request_from_words,
    response_format,
    stop_sequences,
)

SAID = (Message("user", "Hi"),)


def made(**words: object):
    return request_from_words("yandexgpt", SAID, words)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("temperature", 0),
        ("top_p", 0.5),
        ("max_tokens", 7),
        ("reasoning_effort", "low"),
        ("tools", (Tool("f"),)),
        ("parallel_tool_calls", False),
        ("frequency_penalty", 0.0),
        ("presence_penalty", 1),
        ("logit_bias", {"1": 1}),
        ("logprobs", True),
        ("top_logprobs", 0),
        ("n", 2),
        ("verbosity", "low"),
        ("user", "me"),
        ("prediction", "text"),
        ("recover_leaked_calls", False),
        ("extra_body", {"seed": 1}),
    ],
)
def test_known_words_are_taken(word, value):
    assert getattr(made(**{word: value}), word) == value


def test_model_and_messages_are_taken():
    assert (made().model, made().messages) == ("yandexgpt", SAID)


def test_max_completion_tokens_is_the_same_word():  # WIRE A9
    assert made(max_completion_tokens=7) == made(max_tokens=7)


@pytest.mark.parametrize("word", ["temperature", "stop", "tools", "seed", "n", "whatever"])
@pytest.mark.parametrize("nothing", [None, [], (), {}])
def test_nothing_is_accepted_for_any_word(word, nothing):  # D8
    assert made(**{word: nothing}) == made()


@pytest.mark.parametrize(("word", "value"), [("n", 1), ("store", False), ("logprobs", False)])
def test_what_happens_anyway_is_accepted(word, value):  # D8
    assert asks_for_nothing(word, value)
    assert made(**{word: value}) == made()


@pytest.mark.parametrize(
    ("word", "value"), [("temperature", 0), ("max_tokens", 0), ("stop", ""), ("seed", 0)]
)
def test_zero_and_empty_text_ask_for_something(word, value):
    assert not asks_for_nothing(word, value)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("seed", 1),
        ("audio", {"voice": "x"}),
        ("web_search_options", {"a": 1}),
        ("service_tier", "auto"),
        ("stream_options", {"include_usage": True}),
        ("metadata", {"a": "b"}),
    ],
)
def test_what_the_service_or_this_version_lacks_is_refused_by_name(word, value):  # WIRE A9, D8
    with pytest.raises(UnsupportedError, match=rf"^{word}:.*extra_body={{\"{word}\": …}}"):
        made(**{word: value})


@pytest.mark.parametrize("word", ["timeout", "mode", "api", "max_retries"])
def test_words_of_the_constructor_are_told_as_such(word):
    with pytest.raises(ConfigurationError, match=rf"'{word}' is a word of the constructor"):
        request_from_words("yandexgpt", SAID, {word: "a"})


@pytest.mark.parametrize("word", ["temprature", "model_name", "best_of", "messages", "model"])
def test_words_nobody_knows_are_refused_with_those_there_are(word):
    with pytest.raises(ConfigurationError, match=rf"'{word}'.*max_tokens.*temperature") as caught:
        request_from_words("yandexgpt", SAID, {word: "sk-secret"})
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "sequences"),
    [
        ("END", ("END",)),
        (["a", "b"], ("a", "b")),
        (("a", "", "b"), ("a", "b")),
        ("", ()),
    ],
)
def test_stop_sequences(given, sequences):
    assert stop_sequences(given) == sequences
    assert made(stop=given).stop == sequences


@pytest.mark.parametrize("given", [True, 5, {"END"}, ["a", 5], {"a": 1}])
def test_stop_of_another_kind_is_refused(given):
    with pytest.raises(ConfigurationError, match="stop must be"):
        made(stop=given)


SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ({"type": "text"}, ResponseFormat("text")),
        ({"type": "json_object"}, ResponseFormat("json_object")),
        (
            {"type": "json_schema", "json_schema": {"name": "City", "schema": SCHEMA}},
            ResponseFormat("json_schema", "City", SCHEMA),
        ),
        (
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "City",
                    "schema": SCHEMA,
                    "strict": True,
                    "description": "A city",
                },
            },
            ResponseFormat("json_schema", "City", SCHEMA, strict=True, description="A city"),
        ),
        (ResponseFormat("json_object"), ResponseFormat("json_object")),
    ],
)
def test_response_format_is_read_from_its_dict(form, read):  # WIRE A8
    assert response_format(form) == read
    assert made(response_format=form).response_format == read


@pytest.mark.parametrize(
    "form",
    [
        "json_object",
        {"type": "xml"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "City"}},
        {"type": "json_schema", "json_schema": {"schema": "x"}},
        {"type": "json_schema", "json_schema": {"schema": SCHEMA, "odd": 1}},
        {"type": "json_schema", "json_schema": {"schema": SCHEMA}, "strict": True},
        {"type": "json_object", "schema": SCHEMA},
        {"type": "text", "odd": 1},
    ],
)
def test_response_formats_of_other_shapes_are_refused(form):  # D8
    with pytest.raises(ConfigurationError, match="response_format must be"):
        made(response_format=form)


def test_modalities_are_a_list_of_the_user_s():
    assert made(modalities=["text"]).modalities == ("text",)


TEXT = {"type": "text", "text": "one"}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("one", "one"),
        ({"type": "content", "content": "one"}, "one"),
        ({"type": "content", "content": [TEXT, TEXT]}, (TextPart("one"), TextPart("one"))),
    ],
)
def test_prediction_is_read_from_its_dict(given, read):  # WIRE A15
    assert made(prediction=given).prediction == read


@pytest.mark.parametrize(
    "given",
    [
        5,
        {"type": "content"},
        {"type": "text", "content": "one"},
        {"type": "content", "content": "one", "odd": 1},
        {"type": "content", "content": [TEXT, {"type": "image_url"}]},
    ],
)
def test_predictions_of_other_shapes_are_refused(given):  # D8
    with pytest.raises(ConfigurationError, match="prediction must be"):
        made(prediction=given)


FUNCTION = {"name": "f", "description": "Does", "parameters": SCHEMA}


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ({"name": "f"}, ToolChoice("tool", "f")),
    ],
)
def test_functions_are_sent_as_the_tools_they_became(choice, read):  # WIRE A15
    request = made(functions=[FUNCTION], function_call=choice)
    assert (request.tools, request.tool_choice) == ((Tool("f", "Does", SCHEMA),), read)


def test_a_function_s_words_may_be_none():
    bare = {"name": "f", "description": None, "parameters": None}
    assert made(functions=[bare]).tools == (Tool("f"),)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"functions": [{}]}, "A function must be"),
        ({"functions": ["f"]}, "A function must be"),
        ({"functions": [FUNCTION | {"odd": 1}]}, "A function must be"),
        ({"functions": [FUNCTION], "function_call": "f"}, "function_call='f' must be"),
        ({"functions": [FUNCTION], "tools": (Tool("g"),)}, "pass tools"),
    ],
)
def test_functions_of_other_shapes_are_refused(words, told):  # D8
    with pytest.raises(ConfigurationError, match=told):
        made(**words)


def test_two_names_of_one_word_are_refused():  # A9
    with pytest.raises(ConfigurationError, match=r"max_tokens.*max_completion_tokens"):
        made(max_tokens=1, max_completion_tokens=2)
    assert made(max_tokens=None, max_completion_tokens=2).max_tokens == 2
