"""A server that behaves like Yandex Cloud AI Studio, for tests and for trying things out.

It imports nothing else of this project, so that one wrong belief cannot hide on both sides.
"""

try:
    from .server import Emulator
except ModuleNotFoundError as error:
    raise ImportError(
        f"The emulator needs {error.name}: pip install 'yandex-compat[emulator]'"
    ) from error

__all__ = ["Emulator"]
