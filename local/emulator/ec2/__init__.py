"""EC2, as far as snapshots, volumes, instances and images go; the network is ministack's.

Not moto's, as the sketch had it: nearly every EBS call needed a state over time, an event, a page, a token or a check
that neither ministack nor moto has, and what remained of moto was its 300 MiB.
"""
