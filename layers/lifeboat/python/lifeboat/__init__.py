"""Lifeboat: saves the data volumes of EC2 instances that matter and brings one back, whole, on a fresh instance."""
