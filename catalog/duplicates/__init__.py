"""One of several files with the same bytes is kept: what the others were given goes over to it, and they into the trash."""
