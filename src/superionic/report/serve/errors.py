"""Errors as answers: JSON for programs, a page for people, and no secrets in either."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from superionic.errors import DatabaseError, SuperionicError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

_LONGEST_TEXT = 500


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable name of the kind of error.")
    message: str = Field(description="What is wrong.")
    hint: str = Field(description="What to do about it.")


class ErrorAnswer(BaseModel):
    """The answer to a request that failed."""

    error: ErrorDetail = Field(description="What went wrong.")


class AnswerError(Exception):
    """An error with the status of its answer.

    Parameters
    ----------
    status : int
        HTTP status.
    code, message, hint : str
        As in :class:`ErrorDetail`.
    headers : dict, optional
        Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.fault = ErrorDetail(code=code, message=message, hint=hint)
        self.headers = headers or {}


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "The request is not for this server."},
    401: {"model": ErrorAnswer, "description": "A token is needed."},
    404: {"model": ErrorAnswer, "description": "There is no such thing."},
    414: {"model": ErrorAnswer, "description": "The query is too long."},
    422: {"model": ErrorAnswer, "description": "A parameter is wrong."},
    429: {"model": ErrorAnswer, "description": "Too many requests; see Retry-After."},
    503: {"model": ErrorAnswer, "description": "The database does not answer, or holds no rows."},
}
"""What every endpoint may answer besides what it promises."""


def nothing_there(message: str, hint: str = "") -> AnswerError:
    """Return the error for something that does not exist."""
    return AnswerError(404, "not_found", message, hint)


def empty_collection(description: str) -> AnswerError:
    """Return the error for a database without rows."""
    return AnswerError(
        503,
        "empty_collection",
        f"The database {description} holds no screening rows.",
        "Run 'superionic screen CRYSTALS', or 'superionic build' after a campaign; if the rows are "
        "elsewhere, set SUPERIONIC_DATABASE_URI and SUPERIONIC_DATABASE_NAME.",
    )


def answer_of(error: Exception) -> AnswerError:
    """Return any exception as an answer; what is unexpected tells nothing of itself."""
    from pymongo.errors import PyMongoError

    if isinstance(error, AnswerError):
        return error
    if isinstance(error, DatabaseError):
        return AnswerError(503, error.code, error.message, error.hint)
    if isinstance(error, SuperionicError):
        from superionic.store.collection.paging import PositionError

        if isinstance(error, PositionError):
            return AnswerError(422, error.code, error.message, error.hint)
        return AnswerError(404, error.code, error.message, error.hint)
    if isinstance(error, PyMongoError):
        # Texts of the driver may repeat parts of an address.
        slow = error.timeout or getattr(error, "code", None) == 50
        said = "takes too long to answer" if slow else f"failed ({type(error).__name__})"
        hint = "Narrow the filter, or try again." if slow else "See 'superionic doctor'."
        return AnswerError(503, "database", f"The database {said}.", hint)
    return AnswerError(
        500, "internal", "Something went wrong in the server.", "Its terminal says what."
    )


def install_handlers(app: "FastAPI") -> None:
    """Make an application answer errors as JSON below ``/api``, else as a page."""
    from fastapi.exceptions import RequestValidationError
    from pymongo.errors import PyMongoError
    from starlette.exceptions import HTTPException

    def handle(request: "Request", error: Exception) -> "Response":
        return respond(request, answer_of(error))

    def invalid(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, RequestValidationError)
        said = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        text = "; ".join(said)[:_LONGEST_TEXT]
        return respond(
            request, AnswerError(422, "invalid", text, "/openapi.json describes the parameters.")
        )

    def http(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        codes = {404: "not_found", 405: "method_not_allowed"}
        code = codes.get(error.status_code, "http")
        headers = dict(error.headers or {})
        return respond(
            request, AnswerError(error.status_code, code, str(error.detail), headers=headers)
        )

    for kind in (AnswerError, SuperionicError, PyMongoError, Exception):
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def respond(request: "Request", answer: AnswerError) -> "Response":
    """Return the answer to a request that failed."""
    from starlette.responses import JSONResponse

    if wants_page(request):
        from superionic.report.serve.rendering import render

        return render(
            request, "error.html", status=answer.status, headers=answer.headers, fault=answer.fault
        )
    body = ErrorAnswer(error=answer.fault).model_dump()
    return JSONResponse(body, status_code=answer.status, headers=answer.headers)


def wants_page(request: "Request") -> bool:
    """Say whether a person asks: not below ``/api``, and with a browser."""
    path = request.url.path
    is_data = path.startswith(("/api", "/static", "/openapi"))
    return not is_data and "text/html" in request.headers.get("accept", "")
