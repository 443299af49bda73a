"""Keywords that are to be written into a file."""

from __future__ import annotations

from dataclasses import dataclass, replace

from catalog.media.iptc import keywords_for_iptc
from catalog.media.keyword_lists import without
from catalog.media.not_written import NotWritten
from catalog.media.results import DigestResult
from catalog.media.tag_changes import HAS_IPTC, escaped
from catalog.media.words import keywords_for_windows
from photolala.lib.keywords import LONGEST_KEYWORD, MOST_KEYWORDS

_SUBJECT = "XMP-dc:Subject"
_PATHS = {"/": "XMP-digiKam:TagsList", "|": "XMP-lr:HierarchicalSubject"}
_OTHER_LISTS = (*_PATHS.values(), "XMP-acdsee:Keywords")
"""Where other programs keep keywords, too, some of them as paths. XMP's own list counts before these."""


@dataclass(frozen=True, slots=True)
class KeywordChange:
    """Keywords, as `edits.keywords` lets them pass; none at all takes the tags away.

    XMP's dc:subject is written, and IPTC's and Windows' keywords where the file has such already, as much of them as those
    fields can hold. From other programs' lists goes what was taken away, also in paths, and nothing else. `beside` is what
    an XMP file beside the photo is to say if that is something else: where keywords are taken back, each gets its own again.
    `known` are those that the person saw, if that is known.
    """

    words: tuple[str, ...]
    beside: tuple[str, ...] | None = None
    known: tuple[str, ...] | None = None
    is_way_back: bool = False
    """The file gets the bytes of an earlier version, in which an earlier Photolala may have seen fewer keywords."""

    def keeping(self, old: DigestResult) -> KeywordChange:
        """Return the change that leaves in the file what it has and the person did not see, so that nobody took it away.

        An earlier Photolala saw only XMP's keywords where there were such; another program may have added some since.
        """
        if self.known is None or old.sidecar_keywords or old.sidecar_keywords_are_none:
            return self
        seen = {*self.known, *self.words}
        unseen = [word for word in old.embedded_keywords if word not in seen]
        return replace(self, words=(*self.words, *unseen)) if unseen else self

    @property
    def in_sidecar(self) -> list[str]:
        """What an XMP file beside the photo is to say, if it says anything of the kind."""
        return list(self.words if self.beside is None else self.beside)

    def arguments(self, old: DigestResult) -> list[str]:
        """Return exiftool's arguments for the photo's file."""
        words = list(self.words)
        _require_whole(words, are_cut=old.embedded_keywords_are_cut)
        arguments = ["-E", *_xmp_arguments(words, old.embedded_keywords, old.embedded_keyword_paths)]
        if old.iptc_text:
            if words and old.iptc_text == "legacy":
                arguments += ["-tagsFromFile", "@", "-IPTC:all", "--IPTC:Keywords"]
            if words:
                arguments.append("-IPTC:CodedCharacterSet=UTF8")
            arguments += [f"-IPTC:Keywords={escaped(word)}" for word in keywords_for_iptc(words) or [""]]
            if old.media_type in HAS_IPTC:
                arguments.append("-Photoshop:IPTCDigest=new")  # else Adobe's programs take IPTC for the later word
        if old.has_windows_keywords:
            arguments.append(f"-IFD0:XPKeywords={escaped(keywords_for_windows(words))}")
        return arguments

    def sidecar_arguments(self, old: DigestResult) -> list[str]:
        """Return exiftool's arguments for an XMP file that is there. Without keywords it says so by an empty one."""
        words = self.in_sidecar
        _require_whole(words, are_cut=old.sidecar_keywords_are_cut)
        arguments = ["-E", *_xmp_arguments(words, old.sidecar_keywords, old.sidecar_keyword_paths)]
        return arguments if words else [*arguments, f"-{_SUBJECT}^="]

    def is_done(self, facts: DigestResult) -> bool:
        """True if the photo's file says so; an XMP file beside it has its own."""
        if self.is_way_back and self.words:
            return set(self.words) <= set(facts.embedded_keywords)
        return facts.embedded_keywords == list(self.words)

    def is_consistent(self, facts: DigestResult) -> bool:
        """What XMP, IPTC and Windows have is the same; the last two may be cut."""
        return not facts.keywords_differ

    @property
    def sentence(self) -> str:
        """Their beginning."""
        words = ", ".join(self.words)
        return f"the keywords “{words if len(words) <= 60 else words[:60] + ' …'}”" if words else "no keywords"


def _require_whole(words: list[str], *, are_cut: bool) -> None:
    """Raise NotWritten if others would be lost that are more, or longer, than the catalog holds, and that nobody took away."""
    if words and (are_cut or len(words) > MOST_KEYWORDS):
        raise NotWritten(
            f"The file has more than {MOST_KEYWORDS} keywords, or one of more than {LONGEST_KEYWORD} characters, which would be "
            "cut. It is as it was; the catalog keeps what you gave.",
            "lossy",
            is_lasting=True,
        )


def _xmp_arguments(words: list[str], before: list[str], paths: list[str]) -> list[str]:
    """Return the arguments that make XMP's own list `words`, and take from the others what is not among these any more.

    `paths` are what the lists hold in which keywords are paths: programs would read again from them what was taken away.
    """
    arguments = [f"-{_SUBJECT}={escaped(word)}" for word in words or [""]]
    if not words:
        return [*arguments, *(f"-{name}=" for name in _OTHER_LISTS)]
    gone = [word for word in before if word not in words]
    arguments += [f"-{name}-={escaped(word)}" for name in _OTHER_LISTS for word in gone]
    for path, rest in without(paths, gone, words).items():
        name = _PATHS["|" if "|" in path else "/"]
        arguments += [f"-{name}-={escaped(path)}", *([f"-{name}+={escaped(rest)}"] if rest else [])]
    return arguments
