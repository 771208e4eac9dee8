"""The OpenAI-compatible chat completions format (WIRE A).

Four names, the same in every wire: PATH, encode, decode, StreamDecoder.
"""

from yandex_compat.wires.chat.decoding import decode as decode
from yandex_compat.wires.chat.encoding import encode as encode
from yandex_compat.wires.chat.stream import StreamDecoder as StreamDecoder

PATH = "/chat/completions"
