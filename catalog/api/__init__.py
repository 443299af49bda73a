"""The REST API of libraries, photos and the timeline."""
