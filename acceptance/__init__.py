"""`make acceptance`: Lifeboat proves itself in an AWS account, and records how AWS behaves there."""
