"""Forecasts from a sample of a log beside what a replay of all of it shows, and what a million lines take."""
