"""What LangSmith is sent of a call: over its own client, as it goes out."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from langchain_core.tracers import LangChainTracer
from langsmith import Client

from yandex_compat import RateLimitError

OPEN = "qwen3-235b-a22b-fp8"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class LangSmith:
    """Takes runs as LangSmith's server does; `runs` are those it was sent, each as it ended."""

    def __init__(self) -> None:
        self.runs: dict[str, dict] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                id_ = self.path.rpartition("/")[2] if self.command == "PATCH" else sent["id"]
                owner.runs.setdefault(id_, {}).update(sent)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_PATCH = do_POST  # noqa: N815 -- the name that the server calls

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.client = Client(
            api_url=f"http://127.0.0.1:{self._server.server_port}",
            api_key="langsmith-key",
            auto_batch_tracing=False,
        )
        self.tracer = LangChainTracer(project_name="test", client=self.client)

    @property
    def run(self) -> dict:
        """The only run."""
        [run] = self.runs.values()
        return run

    def close(self) -> None:
        self.client.session.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def langsmith() -> Iterator[LangSmith]:
    server = LangSmith()
    yield server
    server.close()


async def ask(model, way, langsmith):
    config = {"callbacks": [langsmith.tracer]}
    if way == "invoke":
        model.invoke("Hi", config)
    elif way == "ainvoke":
        await model.ainvoke("Hi", config)
    elif way == "stream":
        list(model.stream("Hi", config))
    else:
        async for _ in model.astream("Hi", config):
            pass


WAYS = ("invoke", "ainvoke", "stream", "astream")


@pytest.mark.parametrize("way", WAYS)
async def test_the_fields_that_it_counts_and_groups_by(make, emulator, langsmith, way):
    emulator.script({"text": "Hello", "usage": USAGE})
    await ask(make(model=OPEN, temperature=0.2, max_tokens=50, stop=["END"]), way, langsmith)
    metadata = langsmith.run["extra"]["metadata"]
    assert {name: metadata[name] for name in metadata if name.startswith("ls_")} == {
        "ls_provider": "yandex",
        "ls_model_type": "chat",
        "ls_model_name": OPEN,
        "ls_temperature": 0.2,
        "ls_max_tokens": 50,
        "ls_stop": ["END"],
        "ls_integration": "langchain_chat_model",
    }
    counted = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    assert {name: metadata["usage_metadata"][name] for name in counted} == counted
    assert langsmith.run["run_type"] == "llm"
    params = langsmith.run["extra"]["invocation_params"]
    assert (params["model_name"], params["temperature"], params["api"]) == (OPEN, 0.2, "chat")


@pytest.mark.parametrize("way", WAYS)
async def test_the_answer_with_what_the_service_told_of_it(make, emulator, langsmith, way):
    emulator.script({"text": "Hello", "usage": USAGE})
    await ask(make(model=OPEN), way, langsmith)
    [[generation]] = langsmith.run["outputs"]["generations"]
    message = generation["message"]["kwargs"]
    assert generation["text"] == message["content"] == "Hello"
    assert message["usage_metadata"]["total_tokens"] == 10
    told = message["response_metadata"]
    assert told["model_name"] == f"gpt://{OPEN}/latest"
    assert told["model_provider"] == "yandex"
    assert told["finish_reason"] == "stop"
    assert told["request_id"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_failure(make, emulator, langsmith, way):
    emulator.faults(1.0, kinds=["429"])
    with pytest.raises(RateLimitError):
        await ask(make(max_retries=0), way, langsmith)
    assert "RateLimitError" in langsmith.run["error"]
    assert langsmith.run["extra"]["metadata"]["ls_model_name"] == "yandexgpt"


@pytest.mark.parametrize("way", WAYS)
async def test_it_is_sent_no_secret(make, langsmith, way):
    secret = "AQVN-secret-0123456789"
    headers = {"X-Gateway-Key": secret}
    await ask(make(default_headers=headers), way, langsmith)
    shown = json.dumps(langsmith.runs)
    assert langsmith.run["end_time"]
    assert secret not in shown
    assert "test-key" not in shown
