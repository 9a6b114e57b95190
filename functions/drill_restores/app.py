"""drill_restores: woken by its schedule, volume events, every few minutes, and by a person. Rehearses restores."""

from lifeboat.handler import make_handler
from lifeboat.verify import drill_request
from lifeboat.verify import drill_workflow as drills

handler = make_handler(drill_request.parse_drill, drills.run, rehearses="drill-restores")
