"""Why a backup is not restored, in a sentence."""


class BundleRefused(Exception):
    """Nothing of the backup is restored; the text is a sentence for people, `code` for programs."""

    def __init__(self, sentence: str, code: str = "bad_backup") -> None:
        super().__init__(f"{sentence} Nothing was restored.")
        self.code = code
