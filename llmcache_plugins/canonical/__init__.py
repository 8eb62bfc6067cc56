"""What the plugins share: the canonical answer, and the Anthropic wire format as canonical request and answer.

The canonical request itself is in `keys.messages`. Pure, and free of every framework: a plugin translates its objects
into these forms and back, so that what one plugin stored is served by another.
"""
