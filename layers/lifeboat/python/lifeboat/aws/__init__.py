"""EYES and HANDS: one module a service; the only users of boto3."""
