"""The local AWS starts quickly, fails with a reason, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from local import session
from local.session import LocalAws, LocalAwsError
from tests.local.conftest import zipped


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path(f"/proc/{pid}").exists() else False


def is_gone(pid: int) -> bool:
    """Whether a process ends; how long it takes is the machine's business, up to minutes."""
    deadline = time.monotonic() + 300
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_it_leaves_nothing_behind() -> None:
    with LocalAws({"delays": {"snapshot": 0.01}}) as aws:
        folder, pid = aws.folder, aws.pid
        iam = aws.client("iam")
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        functions = aws.client("lambda")
        functions.create_function(
            FunctionName="f",
            Runtime="python3.13",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": zipped({"app.py": "import os\ndef handler(e, c): return os.getpid()"})},
        )
        worker = int(functions.invoke(FunctionName="f")["Payload"].read())
        assert alive(worker)
        assert aws.control.settings()["delays"]["snapshot"] == 0.01
        assert aws.started_in < session.HEALTHY_WITHIN
    assert is_gone(pid)
    assert is_gone(worker)
    assert not folder.exists()


def test_it_says_why_it_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho something is wrong\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(session, "EMULATOR_PYTHON", broken)
    with pytest.raises(LocalAwsError, match="something is wrong"):
        LocalAws().start()


PARENT = """
    import sys, time
    from local.session import LocalAws
    aws = LocalAws().start()
    print(aws.pid, aws.folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_parent(way: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)], cwd=session.ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    pid, folder = parent.stdout.readline().split()
    parent.send_signal(way)
    parent.wait(10)
    assert is_gone(int(pid))
    assert not Path(folder).exists()
    parent.stdout.close()


def test_the_environment_reaches_no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    aws = LocalAws()
    environment = aws.environment()
    assert "AWS_PROFILE" not in environment
    assert "AWS_SESSION_TOKEN" not in environment
    assert environment["AWS_CONFIG_FILE"] == os.devnull
    assert environment["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
