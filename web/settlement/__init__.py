"""The settlement API: windows and settlements, on the admin port below a path of its own (fspiop 9.1)."""
