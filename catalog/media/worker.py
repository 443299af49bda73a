"""The decoder process: takes open files through a socket, answers with facts, and can do nothing else.

Started by `catalog.media.pool` as `python -m catalog.media.worker <socket> <parent> <limits as JSON> <libraries as
JSON>`; the libraries and time zones are loaded before it is sealed. What it then lacks it names (`{"needs": …}`), and is replaced
by a process that has it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

from catalog.media import decoder_libraries
from catalog.media.digest import digest_file, preview_file
from catalog.media.limits import MIB, Limits
from catalog.media.results import UNREADABLE, DigestResult, PreviewResult, SurveyResult, to_wire
from catalog.media.sandbox import shut_in
from catalog.media.survey import survey_file
from catalog.media.wire import encode, receive, send

_RESERVE_BYTES = 8 * MIB
"""What lies between the pieces of memory that are free."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Serve until the socket closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    limits = Limits(**json.loads(sys.argv[3]))
    memory = _open_memory()
    decoder_libraries.load_before_sealing([])
    without = _data_bytes(memory)
    decoder_libraries.load_before_sealing(json.loads(sys.argv[4]))
    # What a library takes for itself is no picture's: else a file's fate would depend on which files came before it.
    limits = limits.with_libraries(_data_bytes(memory) - without)
    layers = shut_in(limits, int(sys.argv[2]))
    decoder_libraries.seal()
    send(channel, encode({"ready": True, "layers": layers}))
    while (message := receive(channel)) is not None:
        header, descriptors = message
        try:
            _serve(channel, header, descriptors, limits, memory)
        except decoder_libraries.NotLoaded as lacking:
            send(channel, encode({"needs": lacking.name}))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _serve(channel: socket.socket, header: dict[str, Any], descriptors: list[int], limits: Limits, memory: int) -> None:
    jobs, position = [], 0
    for job in header["jobs"]:
        kinds = job["files"]
        jobs.append((job, dict(zip(kinds, descriptors[position : position + len(kinds)], strict=True))))
        position += len(kinds)
    if header["verb"] == "survey":
        results = [_survey(job, files) for job, files in jobs]
        send(channel, encode({"results": results, "rss": _resident_bytes(memory)}))
        return
    for job, files in jobs:
        if header["verb"] in ("digest", "facts"):
            final, picture = _digest(channel, job, files, limits, memory, draws=header["verb"] == "digest")
        else:
            final, picture = _preview(job, files, limits, memory)
        send(channel, encode({"final": final, "rss": _resident_bytes(memory)}, picture))


def _survey(job: dict[str, Any], files: dict[str, int]) -> dict[str, Any]:
    try:
        return to_wire(survey_file(files.pop("file"), job["name"], job["params"], files))
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes costs that file alone
        return to_wire(SurveyResult(problem=_failure(error)))


def _digest(
    channel: socket.socket, job: dict[str, Any], files: dict[str, int], limits: Limits, memory: int, *, draws: bool
) -> tuple[dict[str, Any], bytes]:
    """Send the facts as soon as they are known; return what came after them, and the thumbnail."""
    said: dict[str, Any] = {}
    thumbnail = b""
    held = _data_bytes(memory)
    try:
        for result in digest_file(files.pop("file"), job["name"], job["params"], files, limits, draws=draws):
            _doubt(result, held, limits)
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
    return changed, thumbnail


def _preview(job: dict[str, Any], files: dict[str, int], limits: Limits, memory: int) -> tuple[dict[str, Any], bytes]:
    held = _data_bytes(memory)
    try:
        result = preview_file(files["file"], job["params"]["edge_px"], limits)
    except Exception as error:  # noqa: BLE001 - see above
        return {"problem": _failure(error)}, b""
    _doubt(result, held, limits)
    return to_wire(result), result.picture or b""


def _doubt(result: DigestResult | PreviewResult, held_bytes: int, limits: Limits) -> None:
    """Doubt that a picture is damaged that had not all the memory it needs, because of what was held before."""
    if result.damaged and held_bytes + result.needed_bytes + _RESERVE_BYTES > limits.memory_bytes:
        result.short_of_memory = True


def _failure(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "The file needs more memory than a decoder may use."
    if isinstance(error, OSError) and error.errno:
        return f"{UNREADABLE}{error.strerror}."
    return f"The decoder failed on this file ({type(error).__name__})."


def _open_memory() -> int:
    """Open the file that tells how much memory this process holds, while it still can; -1 where there is none."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _resident_bytes(memory: int) -> int:
    return _pages(memory, 1) * _PAGE_BYTES


def _data_bytes(memory: int) -> int:
    """Return what counts against RLIMIT_DATA."""
    return _pages(memory, 5) * _PAGE_BYTES


def _pages(memory: int, position: int) -> int:
    try:
        return int(os.pread(memory, 200, 0).split()[position])
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    main()
