"""The one kind of exception that stands for a user's mistake or a broken file."""


class CaffeError(RuntimeError):
    """Something the user can mend. ``str()`` is one line that names file, line, layer, field and value as known.

    It is a RuntimeError because that is what pycaffe raises, and what its users' scripts catch.

    Command-line programs print the line and exit with 1; nobody needs a traceback for it.
    """
