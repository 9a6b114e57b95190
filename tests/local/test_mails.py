"""What `python -m local.mails` shows."""

from local.mails import main, shown


def test_every_e_mail_is_shown_whole_with_its_address_and_its_subject():
    letter = {"to": "a@b", "subject": "[lifeboat] backed up", "text": "one\ntwo\n"}
    lines = list(shown([letter, letter]))
    assert lines.count("Subject: [lifeboat] backed up") == 2
    assert lines[-1] == "2 e-mails"
    assert {"To: a@b", "one", "two"} <= set(lines)


def test_without_a_local_aws_nothing_is_asked(monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://sns.eu-west-1.amazonaws.com")
    assert main([]) == 2
    assert "names no local AWS" in capsys.readouterr().err
