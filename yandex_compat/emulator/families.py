"""What sets one family of models apart from another: one row each, found by the model's name."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Family:
    """The quirks of one family, each a switch.

    ``context`` is in tokens (WIRE Models); the fact behind a switch stands beside it.
    """

    context: int
    ids_are_names: bool = False  # A2: the id of a call is the function's name
    matches_by_name: bool = False  # B3: a result finds its call by the function's name
    ordered_results: bool = False  # results must stand in the order of their calls
    honours_parallel: bool = True  # A9: parallel_tool_calls: false is obeyed
    keeps_folder: bool = False  # A1: the answer's `model` still names the folder
    streams_tokens: bool = True  # A4: role alone, small deltas, `delta: {}` at the end; else A3
    usage_in_streams: bool = True  # A5: a last chunk with `choices: []`, unasked
    opens_with_arguments: bool = False  # A4: gemma's first piece of a call
    reasons: bool = False  # A7: `reasoning_content`
    sees_images: bool = False  # A12
    native: bool = False  # on the native API as well as on the chat API


_YANDEX = Family(
    context=32_000,
    ids_are_names=True,
    matches_by_name=True,
    ordered_results=True,
    honours_parallel=False,
    keeps_folder=True,
    streams_tokens=False,
    usage_in_streams=False,
    native=True,
)
_OPEN = Family(context=128_000)

FAMILIES: dict[str, Family] = {
    "yandexgpt-lite": _YANDEX,
    "yandexgpt": _YANDEX,
    "llama-lite": replace(_YANDEX, context=8_192),
    "llama": replace(_YANDEX, context=8_192),
    "aliceai-llm": replace(_YANDEX, native=False),  # the rest is taken to be so: no page says
    "qwen3-235b-a22b-fp8": replace(_OPEN, context=256_000),
    "gpt-oss-120b": replace(_OPEN, reasons=True),
    "gpt-oss-20b": replace(_OPEN, reasons=True),
    "gemma-3-27b-it": replace(_OPEN, opens_with_arguments=True, sees_images=True),
}

EMBEDDING_MODELS = ("text-search-doc", "text-search-query")


def family_of(model: str) -> Family | None:
    """Return the row whose key is the longest prefix of a bare model name; None if none is."""
    matches = [prefix for prefix in FAMILIES if model.startswith(prefix)]
    return FAMILIES[max(matches, key=len)] if matches else None
