"""Send files of the media store to whom may see the note that holds them."""

from django.http import HttpRequest, HttpResponseBase

from catalog.albums import media as store
from catalog.models import Media
from photolala.web.parameters import is_present
from photolala.web.ranges import Download, serve


def serve_media(request: HttpRequest, media: Media) -> HttpResponseBase:
    """Answer with a file, or a part of it; nothing in it runs in a browser."""
    file, path = store.opened(media)
    download = Download(
        media.size_bytes,
        media.media_type,
        media.md5,
        filename=media.md5,
        attachment=is_present(request.GET, "download"),
        server_path=path,
    )
    return serve(request, download, file)
