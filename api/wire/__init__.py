"""The bytes of requests and answers: envelope, errors, fields, correlation id."""
