"""Text from outside, safe to print: names, paths, messages and metadata that others wrote."""

from __future__ import annotations

import json
import re
from typing import Any

# Control characters of both ranges; line and paragraph separators; marks that are invisible or
# reorder what is beside them, except the joiners, which scripts and emoji need; surrogates, which
# stand for bytes of a path that are not UTF-8.
_RANGES = r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
_UNSAFE = re.compile(f"[{_RANGES}]")
# A shell's quoted words; a quote within one stands between double quotes.
_QUOTED = re.compile("\"'\"|'[^']*'")
_UNSAFE_IN_LINES = re.compile(rf"(?!\n)[{_RANGES}]")


def printable(text: object, *, lines: bool = False) -> str:
    r"""`text` with every character that a terminal obeys or hides escaped: `\x1b`, `\n`, `\u202e`.

    `lines`: keep newlines, for text whose line breaks are datm's own.
    """
    unsafe = _UNSAFE_IN_LINES if lines else _UNSAFE
    return unsafe.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def typeable(command: str) -> str:
    """A shell command with such characters in its quoted words as `$'…'`, which a shell reads."""
    return printable(_QUOTED.sub(_as_ansi_c, command))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON of the same value, with such characters escaped and every other one as it is."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return _UNSAFE_IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_ansi_c(quoted: re.Match[str]) -> str:
    if not _UNSAFE.search(quoted[0]):
        return quoted[0]
    doubled = quoted[0].replace("\\", "\\\\")
    return "$" + _UNSAFE.sub(lambda found: _byte_or_code(ord(found[0])), doubled)


def _byte_or_code(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # the byte that a surrogate stands for
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
