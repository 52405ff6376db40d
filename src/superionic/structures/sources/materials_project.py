"""Crystals of the Materials Project, through its own client ``mp-api`` (extra ``mp``)."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from superionic.errors import FetchError, SettingsError
from superionic.structures.sources.download import Page
from superionic.structures.sources.http import RetryingSession

FIELDS = (
    "material_id",
    "formula_pretty",
    "structure",
    "nsites",
    "symmetry",
    "band_gap",
    "energy_above_hull",
    "theoretical",
    "builder_meta",
    "last_updated",
)
"""What is asked of the summary of each material."""

LARGEST_PAGE = 1000
"""The API gives no more at once."""


@dataclass(frozen=True)
class MaterialsProjectQuery:
    """What is asked of the Materials Project.

    Parameters
    ----------
    elements : sequence of str
        Elements that every crystal must hold, first of all the mobile ion.
    min_gap_eV : float or None
        Smallest band gap, in eV.
    max_hull_eV_per_atom : float or None
        Largest energy above the convex hull, in eV/atom.
    chemical_systems : sequence of str
        Only these, such as ``Li-P-S`` or ``Li-*-O``.
    material_ids : sequence of str
        Only these.
    """

    elements: Sequence[str] = ("Li",)
    min_gap_eV: float | None = None
    max_hull_eV_per_atom: float | None = None
    chemical_systems: Sequence[str] = ()
    material_ids: Sequence[str] = ()


def find_api_key() -> str:
    """Return the key of the API: ``MP_API_KEY``, else pymatgen's setting ``PMG_MAPI_KEY``.

    Raises
    ------
    SettingsError
        When there is none; it says how to get one.
    """
    from pymatgen.core import SETTINGS

    for key in (
        os.environ.get("MP_API_KEY"),
        os.environ.get("PMG_MAPI_KEY"),
        SETTINGS.get("PMG_MAPI_KEY"),
    ):
        if key:
            return str(key)
    raise SettingsError(
        "There is no key for the Materials Project.",
        hint="Get one for free at https://materialsproject.org/api and set MP_API_KEY to it, or "
        "run 'pmg config --add PMG_MAPI_KEY YOUR_KEY'.",
    )


class MaterialsProject:
    """A query to the Materials Project as a source of candidates.

    Parameters
    ----------
    query : MaterialsProjectQuery
        What is asked.
    api_key : str
        Key of the API.
    endpoint : str or None
        Address of the API; None takes ``MP_API_ENDPOINT``, else the public one.
    page_size : int
        Crystals in one answer.
    session : RetryingSession, optional
        How answers are fetched.

    Raises
    ------
    SettingsError
        When the package ``mp-api`` is missing or the key is not one.
    """

    def __init__(
        self,
        query: MaterialsProjectQuery,
        api_key: str,
        *,
        endpoint: str | None = None,
        page_size: int = 500,
        session: RetryingSession | None = None,
    ) -> None:
        if find_spec("mp_api") is None:
            raise SettingsError(
                "The package mp-api is not installed.", hint="pip install 'superionic[mp]'"
            )
        from mp_api.client.core.utils import validate_endpoint

        if len(api_key) != 32:
            raise SettingsError(
                f"The key for the Materials Project has {len(api_key)} characters, not 32.",
                hint="Copy it again from https://materialsproject.org/api; keys of the old API "
                "do not work.",
            )
        self._query = query
        self._key = api_key
        self._endpoint = validate_endpoint(endpoint)
        self._page_size = min(page_size, LARGEST_PAGE)
        self._session = session or RetryingSession()
        self._session.headers["x-api-key"] = api_key
        self._heartbeat: tuple[str, list[str]] | None = None

    @property
    def query(self) -> dict[str, Any]:
        """Return what is asked."""
        asked = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self._query).items()}
        return {"database": "Materials Project", "page_size": self._page_size, **asked}

    def version(self) -> str:
        """Return the version of the database, as its heartbeat gives it.

        Raises
        ------
        FetchError
            When the API does not answer.
        """
        return self._beat()[0]

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Yield pages; the cursor is the number of the next one.

        Raises
        ------
        FetchError
            When the API does not answer, or refuses.
        """
        rester = self._rester()
        number = int(cursor) if cursor else 1
        while True:
            found, total = self._page(rester, number)
            if total is None:
                ended = number * self._page_size >= len(self._query.material_ids)
            else:
                ended = not found or (number - 1) * self._page_size + len(found) >= total
            records, left_out = [], {}
            for document in found:
                if document.get("structure"):
                    records.append(_record(document))
                else:
                    left_out[str(document["material_id"])] = "The summary holds no structure."
            number += 1
            yield Page(records, None if ended else str(number), total, left_out)
            if ended:
                return

    def _page(self, rester: Any, number: int) -> tuple[list[dict[str, Any]], int | None]:
        """Return the summaries of a page, and of how many all pages consist if that is known."""
        from mp_api.client.core.exceptions import MPRestError

        query = self._query
        ids = list(query.material_ids)
        low, high = (number - 1) * self._page_size, number * self._page_size
        try:
            found = rester.search(
                elements=list(query.elements) or None,
                chemsys=list(query.chemical_systems) or None,
                band_gap=None if query.min_gap_eV is None else (query.min_gap_eV, None),
                energy_above_hull=(
                    None
                    if query.max_hull_eV_per_atom is None
                    else (None, query.max_hull_eV_per_atom)
                ),
                # The client does not page through lists of ids: each page asks for its own.
                material_ids=ids[low:high] or None,
                deprecated=False,
                fields=list(FIELDS),
                all_fields=False,
                num_chunks=1,
                chunk_size=self._page_size,
                **({} if ids else {"_page": number, "_sort_fields": "material_id"}),
            )
        except MPRestError as error:
            raise _refusal(error) from None
        # Of ids, those that are unknown or outside the limits are not in the answer.
        return found, None if ids else rester.n_announced

    def _beat(self) -> tuple[str, list[str]]:
        if self._heartbeat is None:
            answer = self._session.get(self._endpoint + "heartbeat")
            if not answer.ok:
                raise FetchError(
                    f"The Materials Project answered {answer.status_code} {answer.reason}.",
                    hint="Check the key and the address, or try again later.",
                )
            beat = answer.json()
            self._heartbeat = (
                str(beat["db_version"]),
                list(beat.get("access_controlled_batch_ids", [])),
            )
        return self._heartbeat

    def _rester(self) -> Any:
        from mp_api.client.routes.materials.summary import SummaryRester

        beat = self._beat()

        class Summaries(SummaryRester):  # type: ignore[misc]
            """The client, with our way of asking, and what it learns on the way."""

            n_announced = 0

            @property
            def available_fields(self) -> list[str]:
                # The client's own makes the schema of its model anew for each field of each page.
                return list(FIELDS)

            @staticmethod
            def _get_heartbeat_info(endpoint: str) -> tuple[str, list[str]]:
                # The client's own has no time limit and does not try again.
                return beat

            def _submit_request_and_process(
                self, *args: Any, **kwargs: Any
            ) -> tuple[dict[str, Any], int]:
                data, self.n_announced = super()._submit_request_and_process(*args, **kwargs)
                return data, self.n_announced

        return Summaries(
            api_key=self._key,
            endpoint=self._endpoint,
            session=self._session,
            use_document_model=False,
            mute_progress_bars=True,
        )


def _refusal(error: Exception) -> FetchError:
    text = " ".join(str(error).split())
    if "status code 401" in text or "status code 403" in text:
        return FetchError(
            "The Materials Project does not accept the key.",
            hint="Copy it again from https://materialsproject.org/api.",
        )
    return FetchError(
        f"The Materials Project refused the query: {text[:300]}.",
        hint="Check the elements, ids and limits.",
    )


def _record(document: dict[str, Any]) -> dict[str, Any]:
    symmetry = document.get("symmetry") or {}
    meta = document.get("builder_meta") or {}
    record = {
        "material_id": str(document["material_id"]),
        "formula": document.get("formula_pretty"),
        "structure": document["structure"],
        "database": "Materials Project",
        "spacegroup_number": symmetry.get("number"),
        "band_gap_eV": document.get("band_gap"),
        "energy_above_hull_eV_per_atom": document.get("energy_above_hull"),
        "theoretical": document.get("theoretical"),
        "licence": meta.get("license"),
        "last_updated": _date(document.get("last_updated")),
    }
    return {name: value for name, value in record.items() if value is not None}


def _date(value: Any) -> str | None:
    """Return a date as text; the API writes it as text or in MongoDB's form."""
    if isinstance(value, dict):
        value = value.get("$date")
    return None if value is None else str(value)
