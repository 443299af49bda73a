"""Albums, their items and members, notes and drafts: one verb for each kind of wish, with the permission inside."""
