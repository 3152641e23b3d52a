"""The one exception that means "your input, not our code"."""


class InputError(ValueError):
    """Something that the user gave cannot be used; the message is one line and names cause and fix."""
