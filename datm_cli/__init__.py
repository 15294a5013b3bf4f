"""The command line: it types what the engine says, and knows nothing of how it is done."""
