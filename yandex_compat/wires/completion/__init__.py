"""The native text completion format (WIRE B).

Four names, the same in every wire: PATH, encode, decode, StreamDecoder.
"""

from yandex_compat.wires.completion.decoding import decode as decode
from yandex_compat.wires.completion.encoding import encode as encode
from yandex_compat.wires.completion.stream import StreamDecoder as StreamDecoder

PATH = "/completion"
