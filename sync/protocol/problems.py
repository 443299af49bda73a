"""What a server refuses as a whole. The API sends them as problem details; a transport raises them again on the device."""

from typing import ClassVar


class ProtocolProblem(Exception):
    """A request that the server did not carry out. Nothing of it was applied."""

    status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, sentence: str, **members: str | int) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.members = members
        """Further members of the problem details, in camelCase."""


class Malformed(ProtocolProblem, ValueError):
    """400: it is not what the protocol describes. Sending it again will not help."""

    status, code = 400, "malformed"


class OutOfSequence(ProtocolProblem):
    """409: a gap in the mids, or a mid that was used for other content. `acked_through` is the last one that counts."""

    status, code = 409, "out_of_sequence"

    def __init__(self, sentence: str, acked_through: int) -> None:
        super().__init__(sentence, ackedThrough=acked_through)
        self.acked_through = acked_through


class StartOver(ProtocolProblem):
    """410: pull from zero (cursor below the floor, another epoch). The outbox is kept."""

    status, code = 410, "start_over"


class TooLarge(ProtocolProblem):
    """413: more mutations or bytes than one push may have. Send fewer at once."""

    status, code = 413, "too_large"


PROBLEMS: dict[str, type[ProtocolProblem]] = {
    kind.code: kind for kind in (Malformed, OutOfSequence, StartOver, TooLarge)
}
"""By their code, as the last part of the `type` of a problem."""
