"""Check a deployed stack: observe its parts and what it protects, judge each, and say what to do. Reads only."""
