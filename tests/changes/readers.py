"""A device's copy of a scope, kept by reading what changed."""

from changes.reading import changes_since


class Copy:
    """What a device knows of `scope`: by type and id, the version and the data of what is there."""

    def __init__(self, scope, kinds=None):
        self.scope, self.kinds = scope, kinds
        self.cursor = ""
        self.rows = {}
        self.seen = []

    def pull(self, limit=1000):
        """Read to the end; return the changes that came."""
        came = []
        while True:
            page = changes_since(self.scope, self.cursor, self.kinds, limit)
            came += page.changes
            self.cursor = page.cursor
            for change in page.changes:
                key = (change.kind, change.id)
                if change.deleted:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = (change.version, change.data)
            if not page.has_more:
                self.seen += came
                return came


def from_zero(scope, kinds=None):
    """Return what a device knows that reads the scope for the first time."""
    copy = Copy(scope, kinds)
    copy.pull()
    return copy.rows
