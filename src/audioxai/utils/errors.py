"""The one kind of error that the user can correct."""


class UserError(ValueError):
    """Bad input: its message is one sentence naming the thing, the value and the remedy.

    Command lines print it alone and exit with code 2; every other exception is a defect and keeps its traceback.
    """
