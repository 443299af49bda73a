"""How copies get into a destination: one small class for each kind of place, a folder of the server or a prefix of a bucket."""
