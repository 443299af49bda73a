"""The pages of the catalog: timeline, libraries, folders."""
