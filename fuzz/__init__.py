"""All that reads bytes from outside, as functions of bytes: for `make fuzz` and tests/property/test_fuzz.py."""
