"""LangChain's model profile, from a row of the core's catalogue."""

from langchain_core.language_models import ModelProfile

from yandex_compat.catalogue import UNKNOWN, profile_for


def profile_of(model: str) -> ModelProfile | None:
    """What is known of a model; None for one that the catalogue does not know."""
    known = profile_for(model)
    if known is UNKNOWN:
        return None
    # structured_output is not claimed: agents would send response_format beside tools on every
    # turn, which no recording shows the service to take (S3). `profile=` says otherwise.
    return ModelProfile(
        max_input_tokens=known.context_window,
        text_inputs=True,
        image_inputs=known.images,
        image_url_inputs=False,
        image_tool_message=False,
        pdf_inputs=False,
        pdf_tool_message=False,
        audio_inputs=False,
        video_inputs=False,
        text_outputs=True,
        image_outputs=False,
        audio_outputs=False,
        video_outputs=False,
        reasoning_output=known.reasons,
        tool_calling=known.tools,
        tool_call_streaming=known.tools,
    )
