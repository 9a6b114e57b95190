"""The simulator: random worlds and random misfortune through the real handlers, in one process and one thread."""
