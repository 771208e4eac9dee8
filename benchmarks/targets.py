"""The targets of ours: each the most that one metric may be, in one run."""

from benchmarks.arithmetic import ENDS, VALUE, Target
from benchmarks.server import words
from benchmarks.subjects import OPENAI

# What shows linear or constant growth: the rest is the noise of a run, and what is paid once.
_LEVEL = 1.1

# KiB of a chunk's text, which is kept for the error of a stream that is cut.
_TEXT = len(words(1)[0].encode()) / 1024

HOOKS = (
    "langchain.stream", "langchain.astream", "native.stream", "native.astream",
    "llamaindex.stream_chat", "llamaindex.astream_chat", "llamaindex.stream_complete",
    "llamaindex.astream_complete", "llamaindex-native.stream_chat",
    "llamaindex-native.astream_chat",
)  # fmt: skip
"""The stream hooks, each of which is to give out the first chunk before the second is sent."""

TARGETS = (
    Target("langchain.invoke", 1.2),
    Target("langchain.stream", 1.0),
    Target("native.stream", 1.1),
    Target("native.growth.bytes", _LEVEL, ENDS),
    Target("llamaindex.chat", 1.2),
    Target("llamaindex.stream_chat", 1.0),
    Target("langchain.import", 1.08),
    Target("llamaindex.import", 1.08),
    Target("langchain.abatch.100", 0.25, OPENAI),
    Target("langchain.memory.hook", _LEVEL, ENDS, beside=_TEXT),
    *(Target(f"{hook}.first", 1, VALUE) for hook in HOOKS),
)
