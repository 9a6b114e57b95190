"""The emulator process: ministack for most of AWS, an EC2 of our own, and the glue that makes both behave as AWS.

It runs in `.tools/local`, apart from the environment of the tests, because ministack pins its own botocore. Nothing
outside this package imports it: the tests speak to it over HTTP, as to AWS (`local/session.py`).
"""
