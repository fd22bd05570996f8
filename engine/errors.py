"""The errors that the engine raises and both doors understand."""

from __future__ import annotations

from collections.abc import Mapping


class MediaNestError(Exception):
    """The base of all errors that clients see.

    Attributes:
        code: of the API's table of error codes.
        status: the HTTP status that goes with it.
        message: a sentence for people; never a path of the server, a query or a secret.
        details: the fields at fault of a validation error, or facts that clients need (`tells_details`); otherwise only
            shown in development.
        retry_after: seconds after which a temporary error may be over; None: unknown.
        attempt: the audit entry that belongs to it, an `engine.audit.Attempt`; None: none of its own.
    """

    code = "INTERNAL_ERROR"
    status = 500
    attempt: object | None = None
    tells_details = False

    def __init__(
        self,
        message: str,
        details: Mapping[str, object] | str | None = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.retry_after = retry_after


class ValidationFailed(MediaNestError):
    """The request is malformed; `details` maps each field at fault to its messages."""

    code, status = "VALIDATION_ERROR", 400
    tells_details = True

    def __init__(self, message: str, **fields: str) -> None:
        super().__init__(message, {name: [text] for name, text in fields.items()})


class Unauthorized(MediaNestError):
    """No credentials, or invalid ones."""

    code, status = "UNAUTHORIZED", 401


class TokenExpired(Unauthorized):
    """An access token that has expired."""

    code = "TOKEN_EXPIRED"


class Forbidden(MediaNestError):
    """Authenticated, but not allowed."""

    code, status = "FORBIDDEN", 403


class ConfirmationRequired(Forbidden):
    """Allowed after step-up authentication only; see `engine.identity.confirmation`."""

    code = "CONFIRMATION_REQUIRED"


class CsrfInvalid(Forbidden):
    """A state-changing request by cookie without a valid CSRF token."""

    code = "CSRF_INVALID"


class NotFound(MediaNestError):
    """The object does not exist, or belongs to somebody else."""

    code, status = "NOT_FOUND", 404


class Conflict(MediaNestError):
    """The present state of the object does not allow it."""

    code, status = "CONFLICT", 409


class AlreadyThere(Conflict):
    """What is asked for is in Plex; `details`: its `itemId` in the catalogue."""

    tells_details = True


class QuotaExceeded(MediaNestError):
    """As much was asked for as the quota allows; `details`: `limit`, `used`, `resetsAt`."""

    code, status = "QUOTA_EXCEEDED", 429
    tells_details = True


class UpstreamFailed(MediaNestError):
    """An upstream system that this answer depends on failed."""

    code, status = "UPSTREAM_ERROR", 502


class ServiceUnavailable(MediaNestError):
    """A part of ours that this request needs is not available."""

    code, status = "SERVICE_UNAVAILABLE", 503


class NotSetUp(ServiceUnavailable):
    """Something that an operator sets up is not set up: waiting does not help; `details` names the setting."""

    tells_details = True

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message, {"setting": setting})
