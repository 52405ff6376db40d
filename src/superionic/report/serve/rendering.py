"""Pages from templates."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from superionic import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Return a page; whatever is put into it is text."""
    values = {
        "version": __version__,
        "path": request.url.path,
        "has_login": getattr(request.app.state, "has_login", False),
        **values,
    }
    text = _templates().get_template(template).render(values)
    return HTMLResponse(text, status_code=status, headers=headers)


@lru_cache(maxsize=1)
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(HERE / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
