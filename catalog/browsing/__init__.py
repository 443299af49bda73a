"""Everything that people see: lists, timeline, pictures; it changes nothing."""
