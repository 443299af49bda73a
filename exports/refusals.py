"""Why something of exports is not possible, in a sentence."""


class ExportRefused(Exception):
    """The export or destination is not possible; the text is a sentence for the person who asked.

    `for_operator` says what is in the way, where the person who asked may not know it.
    """

    def __init__(self, sentence: str, code: str = "export_refused", for_operator: str = "") -> None:
        super().__init__(sentence)
        self.code, self.for_operator = code, for_operator

    @property
    def operators_sentence(self) -> str:
        """The sentence for who has the server's shell, and so may know all of it."""
        return f"{self} In the way: {self.for_operator}." if self.for_operator else str(self)
