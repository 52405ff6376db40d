"""Pages from templates."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from superionic import __version__

HERE = Path(__file__).parent
_TEMPLATES = Jinja2Templates(
    env=Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
)


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response:
    """Return a page; whatever is put into it is text."""
    values |= {"version": __version__, "path": request.url.path}
    values.setdefault("has_login", getattr(request.app.state, "has_login", False))
    return _TEMPLATES.TemplateResponse(request, template, values, status, headers)
