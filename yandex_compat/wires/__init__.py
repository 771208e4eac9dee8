"""The formats of the service: each encodes a request, decodes an answer, and decodes a stream."""
