"""What apps on other origins may send and read, where PHOTOLALA_CORS lets them; they sign in with tokens, never with cookies."""

METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
SENT = (
    *("accept", "authorization", "content-type", "idempotency-key", "if-match", "if-modified-since", "if-none-match"),
    *("if-range", "range", "last-event-id", "x-http-method-override", "x-requested-with"),
    *("tus-resumable", "upload-checksum", "upload-concat", "upload-defer-length", "upload-length", "upload-metadata"),
    *("upload-offset",),
)
"""Headers of requests."""
READ = (
    *("Content-Disposition", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified", "Location", "Retry-After"),
    *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm", "Upload-Expires"),
    *("Upload-Length", "Upload-Metadata", "Upload-Offset", "WWW-Authenticate", "Idempotent-Replayed"),
    *("Photolala-Import", "Photolala-Path", "Photolala-Photo", "Photolala-State", "Photolala-Upload"),
)
"""Headers of answers."""
KEEP_SECONDS = 3600
"""How long a browser may keep the answer to its question before a request."""
