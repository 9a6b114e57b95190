"""`make local`: a local AWS with the stack deployed and a platform to protect, until interrupted."""

import json
import shlex
import signal
import sys
import threading

from local import platform, stack
from local.session import ROOT, LocalAws

FOLDER = ROOT / ".local"
ENVIRONMENT = FOLDER / "env"
SOURCED = (
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "SAM_CLI_TELEMETRY",
    "PATH",
)


def _write_environment(aws: LocalAws) -> None:
    values = aws.environment()
    FOLDER.mkdir(exist_ok=True)
    lines = ["unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN"]
    lines += [f"export {name}={shlex.quote(values[name])}" for name in SOURCED]
    ENVIRONMENT.write_text("\n".join(lines) + "\n")


def _next_steps(aws: LocalAws, machine: platform.Platform) -> str:
    restore = json.dumps({"instance_id": machine.instance_id, "recovery_point": "latest", "reason": "trying it out"})
    return f"""
A local AWS is up at {aws.endpoint} with the stack "{stack.STACK_NAME}" and a platform to protect,
{machine.instance_id}: its data volume {machine.data_id} is at {machine.device}. The instance is
tagged lifeboat:backup=true, and both lifeboat:restore-target=true, so that a restore onto it is allowed.

In another shell:

  . {ENVIRONMENT.relative_to(ROOT)}
  sam list endpoints --stack-name {stack.STACK_NAME}
  sam remote invoke TakeSnapshotsFunction --stack-name {stack.STACK_NAME} --event '{{}}'
  sam logs --stack-name {stack.STACK_NAME}
  sam remote invoke RestoreVolumeFunction --stack-name {stack.STACK_NAME} --event '{restore}'
  sam remote invoke RestoreVolumeFunction --stack-name {stack.STACK_NAME} --event '{{"status": "restore-..."}}'

Make it misbehave (local/README.md lists all of it):

  curl -X POST {aws.endpoint}/_local/events/faults -d '{{"effect": "drop", "count": 0}}'
  curl {aws.endpoint}/_local/calls/counts

Ctrl-C ends it and leaves nothing behind but .local/.
"""


def _until_interrupted() -> None:
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    signal.signal(signal.SIGTERM, lambda *_: interrupted.set())
    interrupted.wait()


def main() -> int:
    """Start, build, deploy, explain, wait."""
    with LocalAws() as aws:
        print(f"a local AWS is up ({aws.started_in:.1f} s); sam build ...", flush=True)
        stack.build()
        print("sam deploy ...", flush=True)
        stack.deploy(aws)
        machine = platform.terraform_platform(aws, tags={"lifeboat:backup": "true"})
        aws.client("ec2").create_tags(
            Resources=[machine.instance_id, machine.data_id], Tags=[{"Key": "lifeboat:restore-target", "Value": "true"}]
        )
        _write_environment(aws)
        print(_next_steps(aws, machine), flush=True)
        _until_interrupted()
    ENVIRONMENT.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
