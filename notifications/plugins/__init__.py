"""Apprise services of our own."""
