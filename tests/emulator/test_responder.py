"""What the emulated model does with tools, schemas and context."""

import json

import pytest

USER = {"role": "user"}


@pytest.fixture
def calls(ask, open_model):
    """Ask and return the calls as (name, arguments)."""

    def calls(messages, *tools, **fields):
        fields = {"model": open_model, "tools": list(tools)} | fields
        message = ask(messages, **fields).json()["choices"][0]["message"]
        return [
            (call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", [])
        ]

    return calls


@pytest.fixture
def text(ask, open_model):
    def text(messages, **fields):
        answer = ask(messages, **{"model": open_model} | fields)
        return answer.json()["choices"][0]["message"]["content"]

    return text


BOTH = "What is the weather in Moscow and in Kazan, then add the two temperatures."


def test_one_question_is_one_call(calls, weather, add):
    asked = calls("What is the weather in San Francisco, CA?", weather, add)
    assert asked == [("get_weather", {"city": "San Francisco, CA"})]


def test_two_calls_of_one_tool_and_then_one_that_needs_both(calls, weather, add, exchange):
    both = calls(BOTH, weather, add)
    assert both == [("get_weather", {"city": "Moscow"}), ("get_weather", {"city": "Kazan"})]
    made = [(str(n), name, json.dumps(given)) for n, (name, given) in enumerate(both)]
    messages = [USER | {"content": BOTH}, *exchange(made, [("0", "12"), ("1", "-5")])]
    assert calls(messages, weather, add) == [("add", {"a": 12, "b": -5})]


def test_unrolled_rounds_count_as_the_turn_they_were(calls, weather, add, exchange):
    messages = [
        USER | {"content": BOTH},
        *exchange([("get_weather", "get_weather", "{}")], [("get_weather", "12")]),
        *exchange([("get_weather", "get_weather", "{}")], [("get_weather", "-5")]),
    ]
    model = "gpt://test-folder/yandexgpt/latest"
    assert calls(messages, weather, add, model=model) == [("add", {"a": 12, "b": -5})]


def test_when_all_is_called_the_results_are_told_in_order(calls, text, weather, add, exchange):
    messages = [
        USER | {"content": BOTH},
        *exchange([("0", "f", "{}"), ("1", "f", "{}")], [("0", "twelve"), ("1", "-5")]),
        *exchange([("2", "add", "{}")], [("2", "seven")]),
    ]
    answer = text(messages, tools=[weather, add])
    assert answer.index("twelve") < answer.index("-5") < answer.index("seven")


def test_parallel_tool_calls_false_is_obeyed_by_open_models_only(calls, weather):  # WIRE A9
    question = "What is the weather in Moscow and in Kazan?"
    assert len(calls(question, weather, parallel_tool_calls=False)) == 1
    model = "gpt://test-folder/yandexgpt/latest"
    assert len(calls(question, weather, parallel_tool_calls=False, model=model)) == 2


def test_several_tools_in_one_turn(calls, weather, add):
    asked = calls("Add 3 and 4, and tell me the weather in Tula", weather, add)
    assert asked == [("add", {"a": 3, "b": 4}), ("get_weather", {"city": "Tula"})]


def test_russian(calls, tool):
    weather = tool("get_weather", "Погода в городе", city="string")
    add = tool("add", "Сложить числа", a="integer", b="integer")
    asked = calls("Какая погода в Москве и в Казани? Затем сложи результаты.", weather, add)
    assert asked == [("get_weather", {"city": "Москве"}), ("get_weather", {"city": "Казани"})]


@pytest.mark.parametrize(
    ("choice", "names"),
    [  # WIRE A10
        (None, []),
        ("auto", []),
        ("none", []),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "add"}}, ["add"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "add"}}],
                },
            },
            ["add"],
        ),
    ],
)
def test_tool_choice_when_nothing_asks_for_a_tool(calls, weather, add, choice, names):
    asked = calls("Hello!", weather, add, tool_choice=choice)
    assert [name for name, _ in asked] == names


def test_none_forbids_what_is_asked_for(calls, weather):
    assert calls("The weather in Moscow?", weather, tool_choice="none") == []


def test_a_named_custom_tool(ask, open_model):
    tools = [{"type": "custom", "custom": {"name": "run_sql"}}]
    choice = {"type": "custom", "custom": {"name": "run_sql"}}
    answer = ask("Hello", model=open_model, tools=tools, tool_choice=choice).json()
    assert answer["choices"][0]["message"]["tool_calls"][0]["custom"]["name"] == "run_sql"


def test_required_goes_on_to_the_tool_that_was_not_called(calls, weather, tool, exchange):
    report = tool("Report", "The final report", temperature="integer")
    messages = [
        USER | {"content": "What is the weather in Moscow?"},
        *exchange([("0", "get_weather", "{}")], [("0", "12 degrees")]),
    ]
    asked = calls(messages, weather, report, tool_choice="required")
    assert asked == [("Report", {"temperature": 12})]


@pytest.mark.parametrize(
    ("question", "kinds", "arguments"),
    [
        ("What is the value of magic(3)? Use the tool.", {"input": "integer"}, {"input": 3}),
        ("Use magic.", {}, {}),
        ("magic on order #42", {"order_id": "string"}, {"order_id": "42"}),
        ("magic for '你好啊集团' (Hello Group)", {"name": "string"}, {"name": "你好啊集团"}),
        ("magic: 12 * (3 + 4)", {"expression": "string"}, {"expression": "12 * (3 + 4)"}),
        ("magic for «Белая вежа, 2»", {"name": "string"}, {"name": "Белая вежа, 2"}),
        ("magic with name: Anna, age is 31", {"age": "integer", "name": "string"}, None),
    ],
)
def test_arguments_come_from_the_question(calls, tool, question, kinds, arguments):
    expected = arguments if arguments is not None else {"age": 31, "name": "Anna"}
    assert calls(question, tool("magic", **kinds)) == [("magic", expected)]


def test_optional_arguments_only_when_something_was_said(calls, tool):
    unit = {"enum": ["celsius", "fahrenheit"]}
    weather = tool("get_weather", "", ["city"], city="string", unit=unit, days="integer")
    assert calls("Weather in Moscow?", weather) == [("get_weather", {"city": "Moscow"})]
    said = calls("Weather in Moscow for 3 days in celsius?", weather)
    assert said == [("get_weather", {"city": "Moscow", "unit": "celsius", "days": 3})]


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "description": "Возраст"},
        "city": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Город"},
    },
    "required": ["name", "age", "city"],
}


@pytest.fixture
def filled(text):
    def filled(question, schema):
        named = {"name": "answer", "schema": schema, "strict": True}
        return json.loads(
            text(question, response_format={"type": "json_schema", "json_schema": named})
        )

    return filled


@pytest.mark.parametrize(
    "question",
    [
        "Name: Anna Petrova. Age: 31. City: Kazan.",
        "City: Kazan. Age: 31. Name: Anna Petrova.",
        "Anna Petrova is 31 years old and lives in Kazan.",
        "The name is Anna Petrova and the age is 31 and the city is Kazan",
    ],
)
def test_json_schema_is_filled_from_the_text(filled, question):  # WIRE A8
    assert filled(question, PERSON) == {"name": "Anna Petrova", "age": 31, "city": "Kazan"}


def test_json_schema_is_filled_from_russian(filled):
    expected = {"name": "Анна Петрова", "age": 31, "city": "Казань"}
    assert filled("Город: Казань. Возраст: 31. Имя: Анна Петрова.", PERSON) == expected


def test_json_schema_with_references_lists_and_enums(filled):
    schema = {
        "type": "object",
        "properties": {
            "people": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "mood": {"enum": ["sad", "glad"]},
            "kind": {"const": "people"},
            "urgent": {"type": "boolean"},
        },
        "required": ["people", "tags", "mood", "kind", "urgent"],
        "$defs": {"Person": PERSON},
    }
    question = (
        "Anna is 31 and lives in Kazan. Boris is 25 and lives in Tula.\nTags: red, green and blue."
    )
    assert filled(question + "\nBe glad, it is urgent.", schema) == {
        "people": [
            {"name": "Anna", "age": 31, "city": "Kazan"},
            {"name": "Boris", "age": 25, "city": "Tula"},
        ],
        "tags": ["red", "green", "blue"],
        "mood": "glad",
        "kind": "people",
        "urgent": True,
    }


def test_a_schema_that_refers_to_itself_ends(filled):
    node = {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#"}},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        },
        "required": ["value", "children", "next"],
    }
    assert filled("1 and 2", node)["value"] == 1


def test_a_date_holds_no_numbers(filled):
    item = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "pieces": {"type": "integer"},
            "price": {"type": "number"},
        },
        "required": ["name", "pieces", "price"],
    }
    order = {
        "type": "object",
        "properties": {
            "delivery": {"type": "string", "format": "date"},
            "items": {"type": "array", "items": item},
        },
        "required": ["delivery", "items"],
    }
    said = "«Чай» — 30 по 95.50. Доставка: 2025-12-15. Привезите 2025-12-15 10:30 или раньше."
    assert filled(said, order) == {
        "delivery": "2025-12-15",
        "items": [{"name": "Чай", "pieces": 30, "price": 95.5}],
    }


def test_what_may_be_null_and_is_not_said_is_null(filled):
    properties = {
        "name": {"type": "string"},
        "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "born": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "email": {"type": ["string", "null"], "format": "email"},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    nothing = {"age": None, "born": None, "email": None}
    assert filled("Name: Anna.", schema) == {"name": "Anna", **nothing}
    said = "Name: Anna. She is 30, born 1995-04-12, anna@example.com"
    assert filled(said, schema) == {
        "name": "Anna",
        "age": 30,
        "born": "1995-04-12",
        "email": "anna@example.com",
    }


def test_json_object_has_the_keys_that_the_prompt_quotes(text):  # WIRE A8
    question = "A joke about cats. Return JSON with 'setup' and 'punchline' keys."
    answer = json.loads(text(question, response_format={"type": "json_object"}))
    assert set(answer) == {"setup", "punchline"}
    assert all(answer.values())


def test_tools_come_before_the_final_json(calls, filled, weather):
    named = {"name": "answer", "schema": PERSON}
    response_format = {"type": "json_schema", "json_schema": named}
    asked = calls("The weather in Moscow?", weather, response_format=response_format)
    assert asked == [("get_weather", {"city": "Moscow"})]


DOCUMENTS = """Orders can be returned within fourteen days. The office opens at nine on weekdays.
Batteries last ten hours. Доставка по Москве занимает два дня."""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When does the office open?", "The office opens at nine on weekdays."),
        ("How long does a battery last?", "Batteries last ten hours."),
        ("Сколько занимает доставка?", "Доставка по Москве занимает два дня."),
    ],
)
def test_answers_come_from_the_context(text, question, answer):
    in_system = [{"role": "system", "content": DOCUMENTS}, USER | {"content": question}]
    assert text(in_system) == answer
    assert text(f"Context:\n{DOCUMENTS}\n\nQuestion: {question}\nAnswer:") == answer


def test_what_the_user_said_before_is_context(text):
    messages = [
        USER | {"content": "My name is Anna."},
        {"role": "assistant", "content": "Nice to meet you."},
        USER | {"content": "What is my name?"},
    ]
    assert text(messages) == "My name is Anna."


def test_without_context_the_question_is_repeated(text):
    assert text("Hello there") == "You said: Hello there"
    assert text("Hello there") == text("Hello there")
    assert text("")


RULES = ["---------------------", '"""', "====", "***"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("question", ["What should be answered from the context?", "Say it all."])
def test_what_is_fenced_is_what_is_answered_from(text, rule, question):
    system = {"role": "system", "content": "Answer what is asked, always from the context given."}
    user = (
        f"The context is below.\n{rule}\nfile: a.txt\n\n{DOCUMENTS}\n{rule}\n"
        f"Answer from the context, and say only what it holds.\nQuery: {question}\nAnswer: "
    )
    assert text([system, USER | {"content": user}]) == (
        "Orders can be returned within fourteen days."
    )
    user = user.replace(question, "When does the office open?")
    assert text([system, USER | {"content": user}]) == "The office opens at nine on weekdays."


def test_rules_within_a_text_set_nothing_apart(text):
    pages = "\n---\n".join(["Cats sleep by day.", "Owls hunt at night.", "Fish swim."])
    filler = "Nothing is said in this sentence.\n" * 40
    assert text(f"{filler}{pages}\n\nWhen do cats sleep?") == "Cats sleep by day."


def test_a_text_s_own_questions_are_not_the_user_s(text):
    faq = "When do owls hunt? At night.\nCats sleep by day."
    assert text(f"{faq}\n\nTell me about cats.") == "Cats sleep by day."


@pytest.mark.parametrize(
    "message",
    [
        f"When does the office open?\n\nContext: {DOCUMENTS}",
        f"{DOCUMENTS}\n\nWhen does the office open?\n\nPlease be brief.",
        f"{DOCUMENTS} When does the office open?",
    ],
)
def test_the_question_may_stand_anywhere(text, message):
    assert text(message) == "The office opens at nine on weekdays."


def test_instructions_that_share_little_are_no_answer(text):
    system = {"role": "system", "content": "You answer politely and mention no office."}
    user = f"{DOCUMENTS}\n\nGive a reply. Which rooms does the big office of Tula rent?"
    assert "office opens" in text([system, USER | {"content": user}])
    user = "Bread is white.\n\nMention nothing else. Which rooms does the office rent in Tula?"
    assert text([system, USER | {"content": user}]).startswith("You said: ")


def test_labels_are_no_answer(text):
    fenced = '"""\nfile: a.txt\n\nan unfinished sentence of some length\n"""'
    assert text(f"{fenced}\n\nWho?") == "an unfinished sentence of some length"


def answered(answer):
    assert answer.status_code == 200, answer.text
    return json.loads(answer.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}, "required": ["x"]},
        {"type": "object", "properties": {"x": True, "y": False}, "required": ["x", "y"]},
        {"anyOf": [True, {"type": "null"}]},
    ],
    ids=str,
)
def test_a_schema_that_says_nothing_is_filled_all_the_same(ask, schema):
    form = {"type": "json_schema", "json_schema": {"name": "odd", "schema": schema}}
    assert answered(ask("Hello there", response_format=form)) is not None


def test_a_number_too_large_for_a_float_is_no_number(ask):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = ask("The number is " + "9" * 400, response_format=form)
    assert isinstance(answered(answer)["n"], int)


def test_a_list_of_constants_is_a_list_of_what_is_named(ask):
    names = {"anyOf": [{"const": "red"}, {"const": "blue"}, {"const": "green"}]}
    schema = {"type": "object", "properties": {"c": {"type": "array", "items": names}}}
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}
    answer = ask("Take blue and green.", response_format=form)
    assert answered(answer) == {"c": ["blue", "green"]}
