"""Device names: which of them mean one device, which EC2 accepts, which are reserved for the root.

EC2's name of a device is not the guest's: `/dev/sdh` may be `/dev/xvdh` or `/dev/nvme1n1` inside the machine.
"""

from __future__ import annotations

import re

FREE_EXAMPLES = "/dev/sdf to /dev/sdp, or xvdf to xvdp on Windows"
"""AWS's recommendation for data volumes
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html)."""

EXPECTED = "the name that EC2 has for the device, such as /dev/sdh, /dev/xvdh or xvdh"
"""The expectation in a refusal of a device name."""

_ASK = "`aws ec2 describe-volumes --volume-ids vol-... --query 'Volumes[].Attachments[].Device'`"

_PARTS = re.compile(r"(?:/dev/)?(sd|xvd|hd)([a-z]{1,2})([0-9]{0,2})")
_IN_THE_GUEST = re.compile(r"(?:/dev/)?(nvme[0-9]+n[0-9]+)(?:p[0-9]+)?", re.IGNORECASE)
_TAKEN = re.compile(r"/dev/sd[a-z]|(?:/dev/)?xvd(?:[a-z]|[a-d][a-z])|/dev/sda1")
"""AWS's list for Linux and Windows on HVM. EC2 also accepts `/dev/xvdb` to `/dev/xvdd`, which are not in it."""

_ROOT_LETTER = "a"
"""`/dev/sda1` and `/dev/xvda` are both reserved for the root, whichever an image uses (source: see FREE_EXAMPLES)."""


def same_device(one: str, other: str) -> bool:
    """Whether two names mean one device to EC2: `/dev/sdf`, `/dev/xvdf` and `xvdf` do, `/dev/sda` and `/dev/sda1` do
    not.

    EC2 refuses a second name of a used device (https://github.com/kubernetes-sigs/aws-ebs-csi-driver/pull/1674). An
    instance can have volumes at `/dev/sda1` and at `/dev/xvda`
    (https://github.com/hashicorp/packer-plugin-amazon/issues/443).
    """
    return _identity(one) == _identity(other)


def is_reserved_for_root(device: str, root_device: str) -> bool:
    """Whether a device must stay free: it is another name of this root device, or of another image's."""
    return _letters(device) in {_letters(root_device), _ROOT_LETTER}


def is_taken_by_ec2(device: str) -> bool:
    """Whether EC2 attaches a volume at a device of this name, by AWS's list of available names."""
    return _TAKEN.fullmatch(device) is not None


def naming_problem(device: str) -> str:
    """What was expected, if no volume can be at a device of this name; empty if one can.

    Names that EC2 does not accept today are valid: an old instance may have a volume at `/dev/sdf1`.
    """
    guest = _IN_THE_GUEST.fullmatch(device)
    if guest:
        return (
            f"{EXPECTED}, because {guest[1]} is a name inside the machine that may change with every start: "
            f"`lsblk -no SERIAL /dev/{guest[1].lower()}` there prints the volume's id without its hyphen, and {_ASK} "
            "prints the name"
        )
    if not _PARTS.fullmatch(device):
        return f"{EXPECTED}, which {_ASK} prints"
    return ""


def _identity(device: str) -> tuple[str, ...]:
    parts = _PARTS.fullmatch(device)
    if parts is None:
        return (device,)
    kind, letters, partition = parts.groups()
    return ("hd" if kind == "hd" else "sd", letters, partition)


def _letters(device: str) -> str:
    parts = _PARTS.fullmatch(device)
    return parts[2] if parts else device
