"""`make local`: a local AWS with the stack deployed and a platform to protect, until interrupted.

Its clock is the machine's. With `--simulated` (`make local CLOCK=simulated`) it moves only on request, and
EC2 takes as long as in AWS.
"""

import argparse
import shlex
import signal
import sys
import threading
from datetime import timedelta

import boto3

from local import platform, stack
from local.session import REGION, ROOT, LocalAws
from local.viewer.stack import serve_stack

FOLDER = ROOT / ".local"
ENVIRONMENT = FOLDER / "env"
EMAIL = "operator@example.com"
IMAGE_VERSION = "2.100.0"
IMAGE_NAME = f"{platform.NAME}_v{IMAGE_VERSION}"
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


def _next_steps(aws: LocalAws, machine: platform.Platform, page: str, *, simulated: bool) -> str:
    return f"""
A local AWS is up at {aws.endpoint} with the stack "{stack.STACK_NAME}" and a platform to protect,
{machine.instance_id}: its data volume {machine.data_id} is at {machine.device}. The instance is
tagged lifeboat:backup=true, and both lifeboat:restore-target=true, so that a restore onto it is allowed.

The page of the dashboard, as CloudWatch shows it: {page}?theme=light or ?theme=dark
It acts with the role {stack.STACK_NAME}-viewer, which may invoke the functions of the page and read the dashboard.

In another shell:

  . {ENVIRONMENT.relative_to(ROOT)}
  lifeboat backup --all
  lifeboat status
  lifeboat restore {machine.instance_id}
  python -m local.mails                       # what {EMAIL} was sent
  sam list endpoints --stack-name {stack.STACK_NAME}
  sam logs --stack-name {stack.STACK_NAME}
  sam remote invoke ShowStatusFunction --stack-name {stack.STACK_NAME} --event '{{}}'

The vendor's image, {IMAGE_NAME}, is in every region. The data volume is under a customer key, so that a vault in
another account can copy it: AWS_ACCESS_KEY_ID=777788889999 makes you the root user of another account.
AWS CLI version 1 ignores AWS_ENDPOINT_URL for some services, and would call real AWS: use version 2, or give it
--endpoint-url {aws.endpoint} each time.

{_clock(aws) if simulated else ""}Make it misbehave (local/README.md lists all of it):

  curl -X POST {aws.endpoint}/_local/events/faults -d '{{"effect": "drop", "count": 0}}'
  curl {aws.endpoint}/_local/calls/counts

Ctrl-C ends it and leaves nothing behind but .local/.
"""


def _world(aws: LocalAws) -> platform.Platform:
    """The vendor's image in every region, and a platform made of it, with its data under a customer key."""
    images = {
        region: platform.vendor_image(aws, IMAGE_VERSION, region=region)
        for region in boto3.Session().get_available_regions("ec2")
    }
    key = aws.client("kms").create_key(Description="data volumes")["KeyMetadata"]["Arn"]
    return platform.terraform_platform(aws, images[REGION], key=key, tags={"lifeboat:backup": "true"})


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
        stack.deploy(aws, parameters={"NotificationEmail": EMAIL})
        machine = _world(aws)
        aws.client("ec2").create_tags(
            Resources=[machine.instance_id, machine.data_id], Tags=[{"Key": "lifeboat:restore-target", "Value": "true"}]
        )
        _write_environment(aws)
        with serve_stack(aws, stack.STACK_NAME) as page:
            print(_next_steps(aws, machine, page, simulated=simulated), flush=True)
            _until_interrupted()
    ENVIRONMENT.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
