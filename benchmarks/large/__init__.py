"""Very many entries in one cache file: memory, start, look-ups, and what the search overlooks."""
