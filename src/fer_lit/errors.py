"""The one error that users can cause."""


class ConfigError(ValueError):
    """Bad input: an option, a file or a combination that cannot work.

    The message is one line that names the option or the file, says what was found, and how to mend
    it. Command lines print it without a traceback and exit with a status that is not 0.
    """
