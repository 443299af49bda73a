"""Why a backup is not restored, in a sentence."""

from exports.bundle.lists import BundleRefused, InvalidBundle


class RestoreRefused(BundleRefused):
    """Nothing of the backup is restored; the text is a sentence for people, `code` for programs."""

    def __init__(self, sentence: str, code: str = "bad_backup") -> None:
        super().__init__(f"{sentence} Nothing was restored.", code)


def refusal_for(error: InvalidBundle) -> RestoreRefused:
    """Return what is said of a backup that cannot be read."""
    if isinstance(error, RestoreRefused):
        return error
    if isinstance(error, BundleRefused):
        return RestoreRefused(str(error), error.code)
    return RestoreRefused(f"The backup is damaged: {error}")
