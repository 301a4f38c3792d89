"""The composition root: what each role is made of. It imports everything; only the command line imports it."""
