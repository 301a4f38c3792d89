"""The hub's rules: pure functions of (state, message, time). Imports the standard library and itself only."""
