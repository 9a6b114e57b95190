"""guard_evidence: woken daily, every 15 minutes while a listing is open, and by a person.

Reads the evidence bucket's settings and lists its versions. Publishes what endangers it.
"""

from lifeboat.evidence import request, workflow
from lifeboat.handler import make_handler

handler = make_handler(request.parse_guard, workflow.run)
