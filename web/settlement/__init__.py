"""The settlement API: windows and settlements, on the admin port below a path of its own (protocol 9.1)."""
