"""The EBS direct APIs: those that read snapshots, and those that make one without a volume."""
