"""The list of the models that a key can use (WIRE Endpoints)."""

from yandex_compat.catalogue import Model
from yandex_compat.wires.values import (
    WRONG_SHAPE,
    body_of,
    count_or_none,
    misshapen,
    text_of,
    text_or_none,
)

PATH = "/models"


def decode(data: bytes) -> list[Model]:
    """The models; MalformedAnswer for another shape, APIError where the answer is an error."""
    body = body_of("The list of models", data)
    try:
        return [
            Model(
                text_of(row["id"]),
                text_or_none(row.get("owned_by")),
                count_or_none(row.get("created")),
            )
            for row in body["data"]
        ]
    except WRONG_SHAPE as error:
        raise misshapen("The list of models", error, data) from None
