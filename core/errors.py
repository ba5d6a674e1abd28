"""Errors that are meant for a person."""


class UserError(Exception):
    """Something the visitor can understand and mend; its text is shown on the page as it stands.

    Any other exception is a bug: logged whole on the server, shown as a short sentence with an incident id.
    """


class Diverged(UserError):
    """The loss is no longer a finite number. The last good checkpoint of the run is kept."""


class CallFailed(UserError):
    """An interactive call was not answered: the workers are busy, too slow, out of memory or gone."""
