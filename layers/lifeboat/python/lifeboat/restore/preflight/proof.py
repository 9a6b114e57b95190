"""Pre-flight of the proof: was the chosen recovery point read back, and what did that show?"""

from __future__ import annotations

from lifeboat.domain.proof import join_proofs, read_proof
from lifeboat.domain.recovery_point import newest_proven
from lifeboat.domain.suspicion import is_suspected
from lifeboat.domain.text import iso
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.source import Source


def check_proof(source: Source, facts: PreflightFacts, report: Report) -> str:
    """What is known of the chosen recovery point, as a line of the plan.

    Warns of one that is suspect, and of one that failed its verification.
    """
    if any(is_suspected(member.snapshot.tags) for member in source.members):
        suspect = f"{source.id} is suspect: its data may have been encrypted; {_describe_newest(source, facts)}"
        report.warn("suspect", "recovery_point", suspect)
        return suspect
    proof = join_proofs([read_proof(member.snapshot.tags) for member in source.members])
    if proof and proof.proven:
        return f"{source.id} is proven: it was read back at the level {proof.level}, at {iso(proof.at)}"
    if proof is None:
        return f"{source.id} is not proven; {_describe_newest(source, facts)}"
    failed = f"{source.id} failed its verification at {iso(proof.at)}; {_describe_newest(source, facts)}"
    report.warn("verification-failed", "recovery_point", failed)
    return failed


def _describe_newest(source: Source, facts: PreflightFacts) -> str:
    lineages = {member.metadata.lineage for member in source.members}
    known = (*facts.points, *facts.elsewhere, *facts.same_instance)
    newest = newest_proven(point for point in known if lineages & set(point.lineages))
    if newest is None:
        return "no recovery point of its lineage is known to be proven"
    return f"the newest proven one is {newest.id}, taken at {iso(newest.taken_at)}"
