"""verify_snapshots: woken by BackupCompleted and SnapshotsCopied, every 15 minutes, and by a person.

Reads recovery points back and records the proof in the tags of their snapshots.
"""

from lifeboat.handler import make_handler
from lifeboat.verify import request, workflow

handler = make_handler(request.parse_verify, workflow.run, rehearses="verify-snapshots")
