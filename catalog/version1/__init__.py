"""Library databases of the first version of the original application: read, never written. Pure, without Django."""
