"""How right the hits are: the labelled data, its split, the methods compared, and `docs/quality.md`."""
