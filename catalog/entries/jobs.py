"""Jobs for decoders: which photos a folder holds, and their files opened ahead."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

from catalog.entries.folder_comparison import Entry, sidecar_signature
from catalog.entries.read_failures import Opening
from catalog.media.task import Job
from catalog.sources.base import Directory, Source
from catalog.sources.kinds import MEDIA_EXTENSIONS, SHARED_EXTENSIONS, extension_of, may_be_video, sidecars_in
from catalog.sources.s3_ahead import OpenAhead

BATCH = 100
FLUSH_SECONDS = 2.0


class _IsMedia(dict[str, bool]):
    """Whether a name with this ending (dot and extension) is a photo's; a look-up costs a tenth of asking anew."""

    has_met_shared = False
    """True once there was an ending that other files have, too: only then is every photo's ending looked at again."""

    def __missing__(self, ending: str) -> bool:
        answer = ending.startswith(".") and ending[1:].lower() in MEDIA_EXTENSIONS
        self.has_met_shared = self.has_met_shared or (answer and ending[1:].lower() in SHARED_EXTENSIONS)
        if len(self) < 1000:
            self[ending] = answer
        return answer


_IS_MEDIA = _IsMedia()


def photos_in(directory: Directory, sidecars: dict[str, dict[str, str]] | None = None) -> dict[str, Entry]:
    """Return the photos of a folder with what tells that they changed; `sidecars` is filled with their sidecars."""
    files = directory.files
    found = {name: (size, mtime, "") for name, size, mtime in files if _IS_MEDIA[name[name.rfind(".") :]]}
    if _IS_MEDIA.has_met_shared:
        found = {name: facts for name, facts in found.items() if not _is_of_another_kind(name, facts[0])}
    if len(found) < len(files) and found:
        facts = {name: (size, mtime) for name, size, mtime in files}
        for name, beside in sidecars_in(facts).items():
            if name in found:
                size, mtime, _ = found[name]
                found[name] = (size, mtime, sidecar_signature(beside, facts))
                if sidecars is not None:
                    sidecars[name] = beside
    return found


def _is_of_another_kind(name: str, size_bytes: int) -> bool:
    return extension_of(name) in SHARED_EXTENSIONS and not may_be_video(name, size_bytes)


def job_for(
    source: Source,
    zone: str,
    path: str,
    key: Any,
    facts: tuple[int, int],
    *,
    sidecars: dict[str, str] | None = None,
    head_only: bool = False,
    sidecar_first: bool = False,
) -> Job:
    """Return the decoder's job for the file at `path`; `facts` are its size in bytes and mtime in ns.

    With `sidecar_first` the stars of an XMP file beside it count before its own.
    """
    return Job(
        key=key,
        name=path.rpartition("/")[2],
        open=Opening(source, path, head_only=head_only),
        params={"zone": zone, "mtime_ns": facts[1], "size_bytes": facts[0], "head_only": head_only}
        | ({"sidecar_first": True} if sidecar_first else {}),
        sidecars={kind: partial(source.open, beside) for kind, beside in (sidecars or {}).items()},
    )


def opened_ahead(opened: ExitStack, source: Source, jobs: Iterator[Job], ahead: int) -> Iterator[Job]:
    """Let the files of a far source be opened while others are read; the end of `opened` closes what nobody took."""
    if not source.is_far:
        yield from jobs
        return
    opener = opened.enter_context(
        OpenAhead[Job](lambda job: cast(Opening, job.open).open_now(), threads=min(ahead, 8), ahead=ahead)
    )
    for job, take in opener.over(jobs):
        cast(Opening, job.open).ahead = take
        yield job
