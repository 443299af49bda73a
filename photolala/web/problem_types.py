"""The types of problems that the API answers with: the one list, from which the schema and docs/problems.md are made."""

from http import HTTPStatus
from typing import Any, NamedTuple

PREFIX = "urn:photolala:problem:"
UNNAMED = "about:blank"
"""The type of problems of which the status says all that there is to say (RFC 9457)."""


class ProblemType(NamedTuple):
    """What all problems of a type have in common."""

    title: str
    statuses: tuple[int, ...]

    def __str__(self) -> str:
        return self.title


def _type(title: str, *statuses: int) -> ProblemType:
    return ProblemType(title, statuses)


TYPES: dict[str, ProblemType] = {
    # Any address
    "has_schedule": _type("Backups are made there on a schedule", 409),
    "invalid": _type("Members of the body are not right; `errors` names them", 400, 422),
    "bad_request": _type("The request cannot be understood", 400),
    "conflict": _type("The present state does not allow it", 409),
    "moved": _type("The folder is a destination of yours that was elsewhere", 422),
    "no_bucket": _type("The destination is no bucket", 422),
    "no_destination": _type("The destination of that backup was forgotten", 422),
    "unavailable": _type("Not now; see Retry-After", 503),
    "parse_error": _type("The body cannot be read as JSON", 400),
    "unknown_parameter": _type("The address does not know a query parameter", 400),
    "repeated_parameter": _type("A query parameter is given too often", 400),
    "bad_number": _type("A query parameter is no number in its range", 400),
    "bad_flag": _type("A query parameter is neither true nor false", 400),
    "bad_text": _type("A text in the address is too long", 400),
    "bad_id": _type("An id is no UUID", 400),
    "bad_limit": _type("The size of a page is out of range", 400),
    "bad_cursor": _type("The cursor was not given by this list", 400),
    "bad_state": _type("There is no such state to filter by", 400),
    "bad_time": _type("A query parameter is no date or time", 400),
    "bad_folder": _type("The path of a folder cannot be read", 400),
    "bad_rating": _type("A rating is not from 0 to 5", 400),
    "bad_search": _type("The search cannot be understood; `position` says at which character, from 0", 400),
    "search_too_slow": _type("The search takes too long, and was stopped", 422),
    "bad_year": _type("A year is no number", 400),
    "missing": _type("Something that is needed here is missing", 400),
    "not_signed_in": _type("Nobody is signed in", 401),
    "authentication_failed": _type("The token is not, or no longer, valid", 401),
    "permission_denied": _type("Yours to see, but not to change", 403),
    "not_found": _type("Not there, or not yours to see", 404),
    "method_not_allowed": _type("The address does not know this verb", 405),
    "slow": _type("The body came too slowly", 408),
    "address_too_long": _type("The address is too long", 414),
    "headers_too_large": _type("The headers are too long", 431),
    "too_large": _type("Larger than can be taken", 413, 422),
    "unsupported_media_type": _type("The body has a media type that is not taken here", 415),
    "too_many_requests": _type("Too many tries; wait", 429),
    "busy": _type("Too much at once; try again in a moment", 503),
    "read_only": _type("The disk or database takes no changes", 503),
    "io_error": _type("The disk cannot be read or written", 503),
    "database_unavailable": _type("The database does not answer", 503),
    "cache_unavailable": _type("The store of thumbnails does not answer", 503),
    "no_space": _type("The server's disk is full", 507),
    "bad_key": _type("The Idempotency-Key is no key", 400),
    "key_reused": _type("The Idempotency-Key was used here for another request", 422),
    "in_progress": _type("This very request is being worked on; ask again", 409),
    "too_many_keys": _type("So many keys in a day are not kept", 429),
    # Signing in
    "wrong_password": _type("Name and password do not belong together", 401),
    # Libraries
    "folder_refused": _type("The folder cannot become a library", 422),
    "no_folder": _type("The library knows no such folder", 404),
    "cannot_watch": _type("Only folders of the server can be watched", 422),
    "cannot_write_ratings": _type("Ratings of these files cannot be written into them", 422),
    "no_such_user": _type("There is no user of that name", 422),
    "no_member": _type("That user is no member", 404),
    "member_refused": _type("That user cannot become a member", 422),
    "work_waits": _type("Work that was promised would be lost; confirm its number", 409),
    "device": _type("What is on a phone is not scanned", 422),
    "root_unavailable": _type("The folder of the library cannot be reached", 503),
    # Operations
    "already_running": _type("The same is being done; `operation` names it", 409),
    "not_possible": _type("The operation's state does not allow it", 409),
    "scan_needed": _type("Scan the library first", 409),
    "count_differs": _type("There are more or fewer than were confirmed", 409),
    # Photos and their files
    "bad_bucket": _type("There is no such part of the timeline", 400),
    "too_many_photos": _type("These parts of the timeline hold too many photos", 400),
    "not_ready": _type("It is still to be made", 404),
    "no_picture": _type("There is no picture of it", 400, 404, 422),
    "no_video": _type("There is no short video in the photo's file", 404),
    "no_metadata": _type("Nothing could be read from the file", 404),
    "no_film": _type("It is no video, or was not read yet", 404),
    "on_the_device": _type("It is on the phone only", 404),
    "file_gone": _type("The file is not in its place", 404),
    "no_file": _type("The file is no longer kept", 404),
    "nothing_to_download": _type("None of the selected files can be had", 404),
    "file_changed": _type("The file has changed since it was scanned", 409),
    "unreadable": _type("The file cannot be read now", 503),
    "impossible_date": _type("The date cannot be", 422),
    "nothing_to_undo": _type("Nothing was written that could be undone", 409),
    "not_open": _type("The write does not wait any more", 409),
    # Imports, the trash and uploads
    "refused": _type("It cannot be done; `detail` says why", 422),
    "bad_name": _type("The file's name or path cannot be taken", 400),
    "hidden": _type("Hidden files and system folders are not taken", 422),
    "duplicate": _type("The library has this file already; `photo_id` names it", 422),
    "impossible": _type("Well-formed, but impossible", 422),
    "quota": _type("There is no room left in a quota", 413),
    "complete": _type("The upload has arrived whole", 409),
    "gone": _type("What was sent is gone; begin again", 410),
    "offset": _type("The piece does not begin where the file ends", 409),
    "too_long": _type("The piece is longer than what is missing", 413),
    "checksum": _type("The piece was spoilt on its way; send it again", 460),
    "locked": _type("Another connection is sending this file", 423),
    "tus_version": _type("The header Tus-Resumable is missing, or names another version", 412),
    "upload_length": _type("Upload-Length is no size", 400),
    "upload_offset": _type("Upload-Offset is no number", 400),
    "upload_checksum": _type("Upload-Checksum cannot be read", 400),
    "upload_metadata": _type("Upload-Metadata cannot be read", 400),
    "layout": _type("There is no such layout of folders", 400),
    "md5": _type("An MD5 is not 32 hexadecimal digits", 400),
    "mtime": _type("The file's time is no number", 400),
    "content_type": _type("A piece has a media type of its own", 415),
    # Albums and notes
    "missing_ref": _type("It names something that is not there, or not to be shared", 422),
    "id_taken": _type("Another thing has this id", 409),
    "too_many": _type("More than there can be", 422),
    # Exports
    "export_refused": _type("The destination cannot be used", 422),
    "bad_format": _type("There is no such format", 422),
    "bad_range": _type("The range of days cannot be", 422),
    "bad_template": _type("The template of folders cannot be used", 422),
    "bad_filter": _type("A value of the filter cannot be read", 400),
    "unknown_filter": _type("The filter has no such member", 400),
    "which_library": _type("Say which library", 422),
    "no_record": _type("Nothing is recorded of that photo", 404),
    "not_finished": _type("The export or backup is not finished", 409),
    "elsewhere": _type("It was written to another folder of the server", 409),
    "at_work": _type("It is at work; cancel that first", 409),
    "administrators_only": _type("Only an administrator may do this", 403, 422),
    "bad_recipient": _type("This is no public key or passphrase to encrypt with", 422),
    "bad_schedule": _type("The schedule cannot be", 422),
    "too_many_backups": _type("Too many backups are kept", 409),
    "bad_library": _type("That is no id of a library", 400),
    "bad_mode": _type("There is no such way to restore", 422),
    "encrypted": _type("It is encrypted, and the server has no key", 409, 422),
    "dry_run": _type("`dry_run` is true or false", 400),
    "mode": _type("`mode` is merge or replace", 400),
    "no_backup": _type("That is no backup", 422),
    "other_mode": _type("It was compared in another mode", 409, 422),
    "queue_full": _type("Too many exports are at work or wait", 409),
    "too_many_downloads": _type("Too many downloads of exports are under way", 429),
    "expired": _type("The export has expired; its files are deleted", 404),
    "not_deleted": _type("Its files cannot be deleted now", 503),
    # Sync
    "start_over": _type("Pull again from the beginning; what waits to be pushed stays", 410),
    "scope_ended": _type("What it names is not shared with you any more", 410),
    "out_of_sequence": _type("Mutations before these are missing, or a number was used for another one", 409),
    "malformed": _type("It is not what the protocol of sync describes", 400),
    "no_device": _type("Only a device that signed in may do this", 403),
    "other_device": _type("The id is not that of the device that asks", 403),
    "bad_scope": _type("That is no scope", 400, 422),
    "bad_types": _type("There is no such type of things in this scope", 400),
    "decided": _type("The conflict is decided already", 409),
    "records_unreadable": _type("The records of the destination cannot be read", 503),
}


CHOICES = [(UNNAMED, "The status says it all"), *((f"{PREFIX}{code}", one.title) for code, one in TYPES.items())]


def problem_body(status: int, sentence: str, code: str = "", **members: Any) -> dict[str, Any]:
    """Return a problem object (RFC 9457); `members` that are None are left out."""
    known = TYPES.get(code)
    return {
        "type": f"{PREFIX}{code}" if code else UNNAMED,
        "title": known.title if known else phrase(status),
        "status": status,
        "detail": sentence,
        **{name: value for name, value in members.items() if value is not None},
    }


def phrase(status: int) -> str:
    """Return what HTTP calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Checksum Mismatch" if status == 460 else "Error"


def as_markdown() -> str:
    """Return the list as a table, for docs/problems.md."""
    rows = [f"| `{code}` | {', '.join(map(str, one.statuses))} | {one.title} |" for code, one in sorted(TYPES.items())]
    return "\n".join(["| type, after `urn:photolala:problem:` | status | meaning |", "|---|---|---|", *rows])
