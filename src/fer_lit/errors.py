"""What users are told: the one error that they can cause, and a full disk."""

import errno
import re

UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no line shows, and bytes of a name that are no UTF-8 (as Python reads them)."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

NOT_SHOWN = "a name that is not UTF-8, or has characters that cannot be shown"


class ConfigError(ValueError):
    r"""Bad input: an option, a file or a combination that cannot work.

    The message is one line that names the option or the file, says what was found, and how to mend
    it; what is unwritable in it is shown as `\xff`. Command lines print it without a traceback and
    exit with a status that is not 0.
    """

    def __init__(self, message: str):
        super().__init__(escaped(message))


def escaped(text: str) -> str:
    r"""Return a text in one line that any file takes, with `\xff` for what is unwritable."""
    return UNWRITABLE.sub(_code, text)


def _code(character: re.Match) -> str:
    byte = ord(character[0]) - 0xDC00  # of a name that is no UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte < 0x100 else ascii(character[0])[1:-1]


def of_the_disk(error: BaseException) -> str | None:
    """Return in words that a file could not be written, if that is what led to an error."""
    cause: BaseException | None = error
    while cause and not (isinstance(cause, OSError) and cause.errno in _NO_ROOM):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    file = cause.filename2 or cause.filename or "a file"
    return (
        f"{file} cannot be written ({cause.strerror}); make room there, or name folders on another "
        "disk: output=FOLDER, for the cache FER_LIT_CACHE"
    )
