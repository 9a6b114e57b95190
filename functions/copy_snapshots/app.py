"""copy_snapshots: woken by BackupCompleted, the end of a copy, the reconcile run, and a person.

Copies recovery points to other regions, shares them with a vault account, and copies what is shared with a vault.
"""

from lifeboat.copies import request
from lifeboat.copies import workflow as vault
from lifeboat.handler import make_handler

handler = make_handler(request.parse_copy, vault.run, rehearses="copy-snapshots")
