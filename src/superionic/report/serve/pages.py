"""The pages: skeletons that a browser fills from the JSON API."""

from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from superionic.report.figures.write import figure_js
from superionic.report.serve.errors import AnswerError
from superionic.report.serve.rendering import render
from superionic.report.serve.security import SESSION_LASTS_S, Guard, cookie_name, safe_next
from superionic.report.serve.settings import ServeSettings
from superionic.report.tables.columns import BROWSED

_LARGEST_FORM = 4096


def create_pages(settings: ServeSettings, guard: Guard | None) -> APIRouter:
    """Return the pages for people.

    Parameters
    ----------
    settings : ServeSettings
        For the name of the session's cookie.
    guard : Guard, optional
        Knows the token; without it there is no login.
    """
    pages = APIRouter(include_in_schema=False)

    @pages.get("/")
    def table(request: Request) -> Response:
        return render(request, "table.html", columns=BROWSED)

    @pages.get("/material")
    def material(request: Request) -> Response:
        return render(request, "material.html")

    @pages.get("/campaign")
    def campaign(request: Request) -> Response:
        return render(request, "campaign.html")

    @pages.get("/docs")
    def docs(request: Request) -> Response:
        return render(request, "docs.html")

    @pages.get("/static/plotly.min.js")
    def plotly() -> Response:
        import plotly

        path = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
        headers = {"Cache-Control": "public, max-age=86400"}
        return FileResponse(path, media_type="text/javascript", headers=headers)

    @pages.get("/static/figure.js")
    def figure() -> Response:
        return Response(figure_js(), media_type="text/javascript")

    @pages.get("/login")
    def login(request: Request) -> Response:
        if guard is None:
            return RedirectResponse("/", status_code=303)
        return _login_page(request, request.query_params.get("next", "/"))

    @pages.post("/login")
    async def log_in(request: Request) -> Response:
        if guard is None:
            return RedirectResponse("/", status_code=303)
        form = await _form(request)
        wanted = safe_next(form.get("next", "/"))
        if not guard.accepts_token(form.get("token", "")):
            return _login_page(request, wanted, "This is not the token.", status=401)
        answer = RedirectResponse(wanted, status_code=303)
        answer.set_cookie(
            cookie_name(settings.port),
            guard.new_session(),
            max_age=SESSION_LASTS_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @pages.post("/logout")
    def log_out() -> Response:
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(cookie_name(settings.port), httponly=True, samesite="strict")
        return answer

    return pages


def _login_page(request: Request, wanted: str, fault: str = "", status: int = 200) -> Response:
    return render(request, "login.html", status=status, next=safe_next(wanted), fault=fault)


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a small form.

    Raises
    ------
    AnswerError
        When it is larger than a token needs.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise AnswerError(413, "too_long", f"The form is longer than {_LARGEST_FORM} bytes.")
    try:
        fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
