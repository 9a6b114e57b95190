"""`make local`: a local AWS with the stack deployed and a platform to protect, until interrupted.

Its clock is the machine's. With `--simulated` (`make local CLOCK=simulated`) it moves only on request, and
EC2 takes as long as in AWS.
"""

import argparse
import json
import shlex
import signal
import sys
import threading
from datetime import timedelta

from local import platform, stack
from local.session import ROOT, LocalAws

FOLDER = ROOT / ".local"
ENVIRONMENT = FOLDER / "env"
ISO = "%Y-%m-%dT%H:%M:%SZ"
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


def _clock(aws: LocalAws) -> str:
    now = aws.control.now()
    advance = f"curl -X POST {aws.endpoint}/_local/advance"
    return f"""Its clock is simulated. It stands still at {now:{ISO}} and moves only when you ask. Schedules, EC2
and alarms wait for it, so advance the clock after each request.

  curl {aws.endpoint}/_local/clock
  {advance} -d '{{"seconds": 60}}'
  {advance} -d '{{"to": "{now + timedelta(hours=3):{ISO}}"}}'
  curl -X POST {aws.endpoint}/_local/settle

The last one moves it until nothing is under way any more; it does not wait for schedules.

"""


def _next_steps(aws: LocalAws, machine: platform.Platform, *, simulated: bool) -> str:
    restore = json.dumps({"instance_id": machine.instance_id, "recovery_point": "latest", "reason": "trying it out"})
    return f"""
A local AWS is up at {aws.endpoint} with the stack "{stack.STACK_NAME}" and a platform to protect,
{machine.instance_id}: its data volume {machine.data_id} is at {machine.device}. The instance is
tagged lifeboat:backup=true, and both lifeboat:restore-target=true, so that a restore onto it is allowed.

In another shell:

  . {ENVIRONMENT.relative_to(ROOT)}
  PYTHONPATH=cli python -m lifeboat_cli status      # docs/guide/command-line.md installs it as lifeboat
  sam list endpoints --stack-name {stack.STACK_NAME}
  sam remote invoke TakeSnapshotsFunction --stack-name {stack.STACK_NAME} --event '{{}}'
  sam logs --stack-name {stack.STACK_NAME}
  sam remote invoke RestoreVolumeFunction --stack-name {stack.STACK_NAME} --event '{restore}'
  sam remote invoke RestoreVolumeFunction --stack-name {stack.STACK_NAME} --event '{{"status": "restore-..."}}'

{_clock(aws) if simulated else ""}Make it misbehave (local/README.md lists all of it):

  curl -X POST {aws.endpoint}/_local/events/faults -d '{{"effect": "drop", "count": 0}}'
  curl {aws.endpoint}/_local/calls/counts

Ctrl-C ends it and leaves nothing behind but .local/.
"""


def _until_interrupted() -> None:
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    signal.signal(signal.SIGTERM, lambda *_: interrupted.set())
    interrupted.wait()


def main(arguments: list[str] | None = None) -> int:
    """Start, build, deploy, explain, wait."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--simulated", action="store_true", help="its clock moves only on request; EC2 is as slow as in AWS"
    )
    simulated = parser.parse_args(arguments).simulated
    with LocalAws(simulated=simulated) as aws:
        print(f"a local AWS is up ({aws.started_in:.1f} s); sam build ...", flush=True)
        stack.build()
        print("sam deploy ...", flush=True)
        stack.deploy(aws)
        machine = platform.terraform_platform(aws, tags={"lifeboat:backup": "true"})
        aws.client("ec2").create_tags(
            Resources=[machine.instance_id, machine.data_id], Tags=[{"Key": "lifeboat:restore-target", "Value": "true"}]
        )
        _write_environment(aws)
        print(_next_steps(aws, machine, simulated=simulated), flush=True)
        _until_interrupted()
    ENVIRONMENT.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
