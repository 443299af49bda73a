"""The format of backups (formats.md §6): which files a bundle has, their entries, and how these are written and read.

Pure: no Django. `layout` names the files, `entries` types what is in them, `lists` writes and reads them one entry at a time,
`decoding` checks that what was read is what the types say.
"""
