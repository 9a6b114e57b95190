"""The command line `lifeboat`: a client of the stack's functions, with a person's own credentials."""
