"""The one kind of exception that stands for a user's mistake or a broken file."""


class CaffeError(Exception):
    """Something the user can mend. ``str()`` is one line that names file, line, layer, field and value as known.

    Command-line programs print the line and exit with 1; nobody needs a traceback for it.
    """
