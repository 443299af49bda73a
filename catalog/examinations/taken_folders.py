"""Examine whose folders overlap: what one person has may not be, hold or be in what another has, or the server."""

from collections.abc import Iterator

from catalog.roots.taken_folders import TakenFolders

from .findings import Finding, error, warning

MOST_FINDINGS = 50


def examine_taken_folders() -> Iterator[Finding]:
    """Yield each overlap that was there before it was refused, or came from outside (a moved or newly mounted folder)."""
    for number, (first, second) in enumerate(TakenFolders().conflicts()):
        if number == MOST_FINDINGS:
            return
        if first.kind == "server":
            yield error(
                "folders.own",
                f"A folder of Photolala itself and somebody's overlap: {first.words}, and {second.words}.",
                "Forget that library or destination (no file is touched), or let Photolala keep its files elsewhere "
                "(docs/settings.md).",
            )
        else:
            yield warning(
                "folders.overlap",
                f"Folders of two people overlap, so each may see or change what is the other's: {first.words}, and "
                f"{second.words}.",
                "Ask both, then forget one of the two (no file is touched), or move a folder and say where it is now.",
            )
