"""What builds the documentation site, beside mkdocs and its plugins."""
