"""The judge's rules about verification, suspicions and drills."""

import subprocess

from tests.simulator.worlds import PYTHON, ROOT

PROVEN = "what is marked proven was read back and is sound"
ONLY_TAGS = "verification changes nothing but the tags of the proof and the suspicion"
SAID = {
    "read and marked proven": [],
    "marked proven unread": [PROVEN],
    "marked proven with a damaged superblock": [PROVEN],
    "marked proven at full, a block read of the older one alone": [],
    "marked proven at full, a block written since it was read": [PROVEN],
    "marked failed after a refusal": [],
    "marked failed without a cause": ["what fails a verification has a cause"],
    "marked failed, restored from one with a file system": [],
    "marked failed, restored from one without a file system": ["what fails a verification has a cause"],
    "verification writes another tag": [ONLY_TAGS],
    "verification deletes a snapshot": [ONLY_TAGS],
    "an older one deleted while a suspicion is open": [
        "while a suspicion is open nothing older of its lineage is deleted"
    ],
    "an older one deleted after the suspicion was closed": [],
    "the newest proven one deleted": ["the newest proven one of a lineage is not deleted"],
    "a copy that differs marked as unequal": [],
    "a copy with the bytes of its source marked as unequal": [
        "what fails a verification has a cause",
        "what is marked as unequal differs from its source",
    ],
    "an unequal copy marked proven": ["reading a copy back does not prove what differs from its source"],
    "not compared without a cause": ["what is not compared has a cause"],
    "not compared after a refusal": [],
    "a drill stops an instance": ["drills change nothing but their own volumes, which are never attached"],
}


def test_the_judge_sees_what_must_never_be() -> None:
    command = [str(PYTHON), "-m", "tests.simulator.judge_proofs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"{name}: {rules}" for name, rules in SAID.items()], done.stderr
