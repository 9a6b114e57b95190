"""The evidence bucket, in which the platform preserves what was imported: it is a backup too."""
