"""Three tiers beside one of the same size: what a look-up costs, and what a real stream of requests finds."""
