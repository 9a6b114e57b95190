"""attach_volume: woken by volume and instance events and by the reconcile run.

Exchanges the volumes of a restore, starts the instance and verifies it, or rolls the restore back.
"""

from lifeboat.handler import make_handler
from lifeboat.restore import request
from lifeboat.restore import workflow as restore

handler = make_handler(request.parse_advance, restore.advance_open, rehearses="attach-volume")
