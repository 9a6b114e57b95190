"""Adapters to AWS: one module a resource or service. They are the only users of boto3."""
