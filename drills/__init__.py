"""Fault drills: each breaks something on purpose, says what should happen, and checks it. ``make drill``."""
