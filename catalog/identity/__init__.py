"""The same photo through moves, swaps, edits and rewritten bytes.

Whether two things are the same photo is asked in several places, each with a question and a rule of its own:

- *Where is this photo now?* `moves` (with `pairing`): one is gone, one is new, and both have the same photo MD5 or an alias of
  it; else, of one that was edited and moved at once, the same picture, where that is clear.
- *Which photo is under this name now?* `swaps`: content that was replaced here is followed to where it is; other words about
  the same picture leave the photo what it was.
- *Was this photo away and is back?* `returned`: a missing one that is seen again takes what was given to its row in between.
- *May this name belong to another photo?* `catalog.entries.path_owners`, before the file is read whole: size, head and time tell.
- *Does the library have this file already?* `catalog.importing.known` of files that were read, `catalog.importing.contents` of
  MD5s that a client names: the same content, what became of it, or the same picture of the same second; also in the trash.
- *Could one of these be deleted?* `catalog.browsing.duplicates`: the very same bytes, present, and read here.

What they have in common is decided once: what makes two pictures the same (`catalog.media.image_data`), which MD5 leads to which
(`aliases`), and whose MD5 was read here and is not only told (`catalog.entries.read_here`, `catalog.models.photo.IS_SURE`).
"""
