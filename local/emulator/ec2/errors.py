"""EC2's errors, with the codes and the wording that clients see."""


class Ec2Error(Exception):
    """A refusal.

    Attributes:
        code: such as `InvalidVolume.NotFound`.
        message: for people.
        status: the HTTP status; 400 for nearly all.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def not_found(kind: str, resource_id: str) -> Ec2Error:
    """There is no such resource, or it is another account's."""
    code, noun = {
        "vol": ("InvalidVolume.NotFound", "volume"),
        "snap": ("InvalidSnapshot.NotFound", "snapshot"),
        "i": ("InvalidInstanceID.NotFound", "instance ID"),
        "ami": ("InvalidAMIID.NotFound", "image id"),
    }[kind]
    if kind == "ami":
        return Ec2Error(code, f"The image id '[{resource_id}]' does not exist")
    return Ec2Error(code, f"The {noun} '{resource_id}' does not exist.")


def malformed(kind: str, resource_id: str) -> Ec2Error:
    """The id does not look like one."""
    if kind == "i":
        return Ec2Error("InvalidInstanceID.Malformed", f'Invalid id: "{resource_id}"')
    if kind == "ami":
        return Ec2Error("InvalidAMIID.Malformed", f'Invalid id: "{resource_id}" (expecting "ami-...")')
    name = {"vol": "volumeId", "snap": "snapshotId"}[kind]
    return Ec2Error(
        "InvalidParameterValue", f"Value ({resource_id}) for parameter {name} is invalid. Expected: '{kind}-...'."
    )


def invalid_value(message: str) -> Ec2Error:
    """A parameter's value is not acceptable."""
    return Ec2Error("InvalidParameterValue", message)


def missing(parameter: str) -> Ec2Error:
    """A parameter that the call needs is not there."""
    return Ec2Error("MissingParameter", f"The request must contain the parameter {parameter}")
