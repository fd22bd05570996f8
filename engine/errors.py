"""The errors that the engine raises and both doors understand."""

from __future__ import annotations

from collections.abc import Mapping


class MediaNestError(Exception):
    """Something that a client can be told.

    Attributes:
        code: of the API's table of error codes.
        status: the HTTP status that goes with it.
        message: in words for a person; never a path of the server, a query or a secret.
        details: the fields at fault of a validation error, otherwise only shown in development.
        retry_after: seconds after which it may work, of an error that passes; None: nobody knows.
        attempt: what the audit log is to say of it, an `engine.audit.Attempt`; None: nothing of its own.
    """

    code = "INTERNAL_ERROR"
    status = 500
    attempt: object | None = None

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

    def __init__(self, message: str, **fields: str) -> None:
        super().__init__(message, {name: [text] for name, text in fields.items()})


class Unauthorized(MediaNestError):
    """Nobody, or nobody we know."""

    code, status = "UNAUTHORIZED", 401


class TokenExpired(Unauthorized):
    """The token was good once."""

    code = "TOKEN_EXPIRED"


class Forbidden(MediaNestError):
    """Known, but not allowed."""

    code, status = "FORBIDDEN", 403


class ConfirmationRequired(Forbidden):
    """Allowed, but not before it is certain that the person asks, and not somebody who has their token."""

    code = "CONFIRMATION_REQUIRED"


class CsrfInvalid(Forbidden):
    """A state-changing request by cookie without the proof that our own page sent it."""

    code = "CSRF_INVALID"


class NotFound(MediaNestError):
    """It does not exist, or is not yours."""

    code, status = "NOT_FOUND", 404


class Conflict(MediaNestError):
    """It can't be done in the state things are in."""

    code, status = "CONFLICT", 409


class UpstreamFailed(MediaNestError):
    """A system we depend on for this answer failed."""

    code, status = "UPSTREAM_ERROR", 502


class ServiceUnavailable(MediaNestError):
    """A part of ours that is needed is not there."""

    code, status = "SERVICE_UNAVAILABLE", 503
