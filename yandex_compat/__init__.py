"""A typed client for Yandex Cloud AI Studio, and the core that both framework adapters stand on.

Names are loaded when they are first asked for, so that `yandex_compat.emulator` and the command
line can be imported without the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "accumulator": ["Accumulator"],
    "auth": ["ApiKeyAuth", "CallableAuth", "IamTokenAuth"],
    "catalogue": ["Model", "ModelProfile", "profile_for"],
    "client": ["YandexClient"],
    "completion": [
        "Citation", "Completion", "CompletionRequest", "Delta", "Embedding", "StreamEnd", "Token",
        "ToolCallDelta", "Usage",
    ],
    "errors": [
        "APIError", "AuthenticationError", "ConfigurationError", "ConnectionFailed",
        "ContextOverflowError", "InvalidRequestError", "MalformedAnswer", "NoFreePlace",
        "NotFoundError", "PermissionDeniedError", "RateLimitError", "RequestTimedOut",
        "ServerError", "StreamInterrupted", "ToolChoiceIgnored", "UnsupportedError", "YandexError",
    ],
    "exchanged_auth": ["MetadataAuth", "OAuthAuth", "ServiceAccountAuth"],
    "messages": ["ImagePart", "Message", "TextPart", "ToolCall"],
    "operations": ["Operation"],
    "plain_http": ["InsecureConnectionWarning"],
    "stored_pages": ["StoredCompletion", "StoredPage"],
    "tools": ["CustomTool", "ResponseFormat", "Tool", "ToolChoice"],
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if TYPE_CHECKING:
    from yandex_compat.accumulator import Accumulator as Accumulator
    from yandex_compat.auth import ApiKeyAuth as ApiKeyAuth
    from yandex_compat.auth import CallableAuth as CallableAuth
    from yandex_compat.auth import IamTokenAuth as IamTokenAuth
    from yandex_compat.catalogue import Model as Model
    from yandex_compat.catalogue import ModelProfile as ModelProfile
    from yandex_compat.catalogue import profile_for as profile_for
    from yandex_compat.client import YandexClient as YandexClient
    from yandex_compat.completion import Citation as Citation
    from yandex_compat.completion import Completion as Completion
    from yandex_compat.completion import CompletionRequest as CompletionRequest
    from yandex_compat.completion import Delta as Delta
    from yandex_compat.completion import Embedding as Embedding
    from yandex_compat.completion import StreamEnd as StreamEnd
    from yandex_compat.completion import Token as Token
    from yandex_compat.completion import ToolCallDelta as ToolCallDelta
    from yandex_compat.completion import Usage as Usage
    from yandex_compat.errors import APIError as APIError
    from yandex_compat.errors import AuthenticationError as AuthenticationError
    from yandex_compat.errors import ConfigurationError as ConfigurationError
    from yandex_compat.errors import ConnectionFailed as ConnectionFailed
    from yandex_compat.errors import ContextOverflowError as ContextOverflowError
    from yandex_compat.errors import InvalidRequestError as InvalidRequestError
    from yandex_compat.errors import MalformedAnswer as MalformedAnswer
    from yandex_compat.errors import NoFreePlace as NoFreePlace
    from yandex_compat.errors import NotFoundError as NotFoundError
    from yandex_compat.errors import PermissionDeniedError as PermissionDeniedError
    from yandex_compat.errors import RateLimitError as RateLimitError
    from yandex_compat.errors import RequestTimedOut as RequestTimedOut
    from yandex_compat.errors import ServerError as ServerError
    from yandex_compat.errors import StreamInterrupted as StreamInterrupted
    from yandex_compat.errors import ToolChoiceIgnored as ToolChoiceIgnored
    from yandex_compat.errors import UnsupportedError as UnsupportedError
    from yandex_compat.errors import YandexError as YandexError
    from yandex_compat.exchanged_auth import MetadataAuth as MetadataAuth
    from yandex_compat.exchanged_auth import OAuthAuth as OAuthAuth
    from yandex_compat.exchanged_auth import ServiceAccountAuth as ServiceAccountAuth
    from yandex_compat.messages import ImagePart as ImagePart
    from yandex_compat.messages import Message as Message
    from yandex_compat.messages import TextPart as TextPart
    from yandex_compat.messages import ToolCall as ToolCall
    from yandex_compat.operations import Operation as Operation
    from yandex_compat.plain_http import InsecureConnectionWarning as InsecureConnectionWarning
    from yandex_compat.stored_pages import StoredCompletion as StoredCompletion
    from yandex_compat.stored_pages import StoredPage as StoredPage
    from yandex_compat.tools import CustomTool as CustomTool
    from yandex_compat.tools import ResponseFormat as ResponseFormat
    from yandex_compat.tools import Tool as Tool
    from yandex_compat.tools import ToolChoice as ToolChoice

__all__ = sorted([*_HOME_OF, "__version__"])


if not TYPE_CHECKING:  # a type checker would then take any name

    def __getattr__(name: str) -> object:
        if name not in _HOME_OF:
            raise AttributeError(f"module 'yandex_compat' has no attribute {name!r}")
        value: object = getattr(import_module(f"yandex_compat.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
