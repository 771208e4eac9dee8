"""How many tokens a text or a conversation takes, estimated offline.

The service's own count costs a request. An estimate is for keeping a conversation within the
window, so it errs to the high side: Cyrillic is denser than the four letters a token of English.
"""

import re
from collections.abc import Callable, Iterable

from yandex_compat import jsontext
from yandex_compat.messages import ImagePart, Message
from yandex_compat.tools import AnyTool, CustomTool

# Compiled for whoever counts first, since so wide a range takes long.
_LATIN, _OTHER_ASCII, _OTHER_ALPHABETS = r"[A-Za-z\s]", r"[!-@\[-`{-~]", r"[\u00a0-\u1fff]"
_PER_LATIN, _PER_OTHER_ASCII, _PER_OTHER_LETTER, _PER_SIGN = 0.25, 0.5, 0.4, 1.0
_PER_MESSAGE = 4
_PER_IMAGE = 256  # what Gemma 3, the one model here that sees, makes of each


def estimated_tokens(text: str) -> int:
    """The tokens of a text, by its alphabets; signs of neither (CJK, emoji) count one each."""
    latin = len(re.findall(_LATIN, text))
    ascii_signs = len(re.findall(_OTHER_ASCII, text))
    letters = len(re.findall(_OTHER_ALPHABETS, text))
    signs = len(text) - latin - ascii_signs - letters
    total = latin * _PER_LATIN + ascii_signs * _PER_OTHER_ASCII + letters * _PER_OTHER_LETTER
    return -int(-(total + signs * _PER_SIGN) // 1)


def tokens_of(
    messages: Iterable[Message],
    tools: Iterable[AnyTool] = (),
    count: Callable[[str], int] = estimated_tokens,
) -> int:
    """The tokens of a conversation and its tools, the texts counted by `count`."""
    return sum(map(count, _texts(tools))) + sum(
        _PER_MESSAGE
        + count(message.text)
        + sum(count(call.name) + count(call.arguments) for call in message.tool_calls)
        + _PER_IMAGE * sum(isinstance(part, ImagePart) for part in message.content)
        for message in messages
    )


def _texts(tools: Iterable[AnyTool]) -> Iterable[str]:
    for tool in tools:
        yield from (tool.name, tool.description)
        schema = tool.format or {} if isinstance(tool, CustomTool) else tool.parameters
        yield jsontext.encode(schema).decode()
