"""Bodies that are a file: they are read piece by piece by who keeps them."""

from typing import Any

from rest_framework.parsers import BaseParser


class AnyFile(BaseParser):
    """The body as it comes, unread."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the stream."""
        return stream
