"""The decoder process: takes open files through a socket, answers with facts, and can do nothing else.

Started by `catalog.media.pool` as `python -m catalog.media.worker <socket> <parent> <limits as JSON>`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

from catalog.media.digest import digest_file, preview_file
from catalog.media.limits import Limits
from catalog.media.results import UNREADABLE, DigestResult, SurveyResult, to_wire
from catalog.media.sandbox import shut_in
from catalog.media.survey import survey_file
from catalog.media.wire import encode, receive, send

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Serve until the socket closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    limits = Limits(**json.loads(sys.argv[3]))
    shut_in(limits, int(sys.argv[2]))
    send(channel, encode({"ready": True}))
    while (message := receive(channel)) is not None:
        header, descriptors = message
        try:
            _serve(channel, header, descriptors, limits)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _serve(channel: socket.socket, header: dict[str, Any], descriptors: list[int], limits: Limits) -> None:
    jobs, position = [], 0
    for job in header["jobs"]:
        kinds = job["files"]
        jobs.append((job, dict(zip(kinds, descriptors[position : position + len(kinds)], strict=True))))
        position += len(kinds)
    if header["verb"] == "survey":
        send(channel, encode({"results": [_survey(job, files) for job, files in jobs], "rss": _resident_bytes()}))
        return
    for job, files in jobs:
        if header["verb"] in ("digest", "facts"):
            _digest(channel, job, files, limits, draws=header["verb"] == "digest")
        else:
            _preview(channel, job, files, limits)


def _survey(job: dict[str, Any], files: dict[str, int]) -> dict[str, Any]:
    try:
        return to_wire(survey_file(files.pop("file"), job["name"], job["params"], files))
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes costs that file alone
        return to_wire(SurveyResult(problem=_failure(error)))


def _digest(channel: socket.socket, job: dict[str, Any], files: dict[str, int], limits: Limits, *, draws: bool) -> None:
    said: dict[str, Any] = {}
    thumbnail = b""
    try:
        for result in digest_file(files.pop("file"), job["name"], job["params"], files, limits, draws=draws):
            wire = to_wire(result)
            thumbnail = result.thumbnail or b""
            if not said:
                send(channel, encode({"facts": wire}))
            changed, said = (
                {name: value for name, value in wire.items() if said.get(name) != value} if said else {},
                wire,
            )
    except Exception as error:  # noqa: BLE001 - see above
        changed = {"problem": _failure(error)}
        if not said:
            send(channel, encode({"facts": to_wire(DigestResult(problem=_failure(error)))}))
    send(channel, encode({"final": changed, "rss": _resident_bytes()}, thumbnail))


def _preview(channel: socket.socket, job: dict[str, Any], files: dict[str, int], limits: Limits) -> None:
    try:
        result = preview_file(files["file"], job["params"]["edge_px"], limits)
    except Exception as error:  # noqa: BLE001 - see above
        send(channel, encode({"final": {"problem": _failure(error)}, "rss": _resident_bytes()}))
        return
    send(channel, encode({"final": to_wire(result), "rss": _resident_bytes()}, result.picture or b""))


def _failure(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "The file needs more memory than a decoder may use."
    if isinstance(error, OSError) and error.errno:
        return f"{UNREADABLE}{error.strerror}."
    return f"The decoder failed on this file ({type(error).__name__})."


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    main()
