"""A local AWS, on loopback, in which the real template is built, deployed and run. See local/README.md."""
