"""The two kinds of error that the lake knows. What does not belong here: translating them (entry points do that).

A message has four parts, in one line: what was being done, what was received, what would be valid, what to do next.
"""


class LakeError(Exception):
    """Root of every error that the lake raises by itself."""


class TerminalError(LakeError):
    """Trying again cannot help: the input or the configuration is wrong. Entry points fail without a retry."""


class TransientError(LakeError):
    """Trying again may help: a service did not answer, or somebody else was faster. Entry points retry."""
