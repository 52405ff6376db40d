"""Crystals of any database that speaks OPTIMADE, through the reference client (extra ``optimade``).

The specification is at https://github.com/Materials-Consortia/OPTIMADE.
"""

from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from typing import Any

from pymatgen.core import Composition, Structure

from superionic.errors import FetchError, InputError, SettingsError
from superionic.structures.checks import check_number_of_sites
from superionic.structures.plain import lattice_from_data
from superionic.structures.sources.download import Page
from superionic.structures.sources.http import RequestPolicy, RetryingSession
from superionic.structures.species import element_composition

FIELDS = (
    "chemical_formula_reduced",
    "nsites",
    "nperiodic_dimensions",
    "dimension_types",
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "structure_features",
    "assemblies",
    "last_modified",
)
"""What is asked of each structure."""

REGISTRIES = (
    "https://providers.optimade.org/v1/links",
    "https://raw.githubusercontent.com/Materials-Consortia/providers/master/src/links/v1/providers.json",
)
"""Where the list of providers is, and its copy."""

_LOOK_UP_POLICY = RequestPolicy(read_s=20.0, attempts=3)

_LEAVE_OUT = "Leave it out, or take it from another database."
_DISORDERED_TOLERANCE = 0.01

_UNUSABLE = {
    "unknown_positions": "Some of its atoms have no positions.",
    "implicit_atoms": "Some of its atoms are not listed.",
    "site_attachments": "Atoms are attached to its sites without positions.",
}


class Optimade:
    """A query in OPTIMADE's language as a source of candidates.

    Parameters
    ----------
    base_url : str
        Address of one database, without the version (``https://optimade.materialsproject.org``).
    filter_ : str
        What is asked, in OPTIMADE's language: ``elements HAS "Li" AND nelements<=4``.
    extra_fields : sequence of str
        Further fields to keep as provenance, such as ``_mp_band_gap``; numbers and text only.
    page_size : int, optional
        Structures in one answer; without it, what the server likes. Servers refuse larger ones
        than their own limit.
    policy : RequestPolicy, optional
        How long the server is given.

    Raises
    ------
    SettingsError
        When the package ``optimade`` is missing, or the filter is not in its language.
    """

    def __init__(
        self,
        base_url: str,
        filter_: str,
        *,
        extra_fields: Sequence[str] = (),
        page_size: int | None = None,
        policy: RequestPolicy | None = None,
    ) -> None:
        _require_package()
        from optimade.exceptions import BadRequest
        from optimade.filterparser import LarkParser

        try:
            LarkParser().parse(filter_)
        except BadRequest as error:
            where = " ".join(str(error).split())
            raise SettingsError(
                f"The filter {filter_!r} is not in OPTIMADE's language: {where}.",
                hint='An example: elements HAS "Li" AND nelements<=4.',
            ) from None
        self._base_url = base_url.rstrip("/")
        self._filter = filter_
        self._extra = tuple(extra_fields)
        self._page_size = page_size
        self._policy = policy or RetryingSession.policy

    @property
    def query(self) -> dict[str, Any]:
        """Return what is asked."""
        return {
            "database": f"OPTIMADE {self._base_url}",
            "filter": self._filter,
            "extra_fields": list(self._extra),
        }

    def version(self) -> str:
        """Return what the server says of itself: its implementation and the API's version.

        OPTIMADE has no version of the data; the date of each structure's last change is kept with
        it instead.

        Raises
        ------
        FetchError
            When the server does not answer, or is no OPTIMADE server.
        """
        url = f"{self._base_url}/v1/info"
        answer = self._session()().get(url)
        try:
            attributes = answer.json()["data"]["attributes"]
            meta = answer.json().get("meta", {})
        except (ValueError, KeyError, TypeError):
            raise FetchError(
                f"{url} answered {answer.status_code}, not as an OPTIMADE server.",
                hint="Give the address of one database, without /v1.",
            ) from None
        name = (meta.get("implementation") or {}).get("name", "unknown implementation")
        return f"OPTIMADE {attributes.get('api_version', '1')}, {name}"

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Yield pages; the cursor is the address of the next one.

        Raises
        ------
        FetchError
            When the server does not answer, or refuses.
        """
        from optimade.client import OptimadeClient

        client = OptimadeClient(
            base_urls=self._base_url, silent=True, use_async=False, http_client=self._session()
        )
        while True:
            # The client's own loop over pages keeps all of them and counts no attempts; so one
            # page at a time, with a session that does.
            with redirect_stderr(StringIO()):  # it also prints the errors that it returns
                answer = client.get_one(
                    "structures",
                    self._filter,
                    self._base_url,
                    response_fields=[*FIELDS, *self._extra],
                    page_limit=self._page_size,
                    paginate=False,
                    override_url=cursor,
                )
            (found,) = answer.values()
            if found.errors:
                raise _refusal(" ".join(str(error) for error in found.errors))
            following = found.links.get("next")
            if isinstance(following, dict):
                following = following.get("href")
            records, left_out = [], {}
            for entry in found.data:
                try:
                    records.append(self._record(entry))
                except InputError as error:
                    left_out[str(entry.get("id"))] = error.message
            if following is not None and following == cursor:
                raise FetchError(
                    "The server's next page is the page itself.", hint="Report it to the provider."
                )
            cursor = following if found.data else None
            yield Page(records, cursor, found.meta.get("data_returned"), left_out)
            if cursor is None:
                return

    def _session(self) -> type[RetryingSession]:
        return type("Session", (RetryingSession,), {"policy": self._policy})

    def _record(self, entry: dict[str, Any]) -> dict[str, Any]:
        attributes = entry.get("attributes") or {}
        structure = structure_of(attributes)
        record = {
            "material_id": str(entry["id"]),
            "formula": attributes.get("chemical_formula_reduced"),
            "structure": structure.as_dict(),
            "database": f"OPTIMADE {self._base_url}",
            "last_updated": attributes.get("last_modified"),
        }
        record |= {name: attributes.get(name) for name in self._extra}
        return {name: value for name, value in record.items() if value is not None}


def _refusal(text: str) -> FetchError:
    if text.startswith("FetchError: "):  # our session gave up; the client made text of it
        return FetchError(
            text.removeprefix("FetchError: "),
            hint="What was fetched before is kept; the same command goes on from there.",
        )
    return FetchError(
        f"The server refused the query: {text[:500]}.",
        hint="Not every server knows every field, operator or page size.",
    )


def structure_of(attributes: dict[str, Any]) -> Structure:
    """Return the crystal of an OPTIMADE structure; partial occupancies stay, vacancies go.

    The adapter of the reference implementation refuses entries that leave out fields which this
    does not need, and makes molecules of what is not periodic.

    Parameters
    ----------
    attributes : dict
        The fields of the entry.

    Raises
    ------
    InputError
        When the entry is no complete crystal.
    """
    features = attributes.get("structure_features") or ()
    for feature in features:
        if feature in _UNUSABLE:
            raise InputError(_UNUSABLE[feature], hint=_LEAVE_OUT)
    if "assemblies" in features or _are_alternatives(attributes.get("assemblies")):
        raise InputError(
            "Groups of its sites exclude each other (assemblies): which are there together is lost"
            " when occupancies are averaged.",
            hint="Give one of the alternatives as a crystal of its own, as CIF.",
        )
    periodic = attributes.get("dimension_types")
    if periodic is not None and list(periodic) != [1, 1, 1]:
        raise InputError("It is not periodic in three directions.", hint=_LEAVE_OUT)
    try:
        lattice = lattice_from_data(attributes["lattice_vectors"])
        named = {one["name"]: one for one in attributes.get("species") or ()}
        sites = [_composition(named.get(name), name) for name in attributes["species_at_sites"]]
        positions_A = attributes["cartesian_site_positions"]
        check_number_of_sites(len(sites))
        n_sites = attributes.get("nsites") or len(sites)
        if not len(sites) == len(positions_A) == n_sites:
            raise ValueError(
                f"{len(sites)} species at {len(positions_A)} positions of {n_sites} sites"
            )
        kept = [i for i, composition in enumerate(sites) if composition]
        structure = Structure(
            lattice,
            [sites[i] for i in kept],
            [positions_A[i] for i in kept],
            coords_are_cartesian=True,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"Its fields make no crystal ({type(error).__name__}: {error}).", hint=_LEAVE_OUT
        ) from error
    _check_formula(structure, attributes.get("chemical_formula_reduced"))
    return structure


def _are_alternatives(assemblies: Any) -> bool:
    """Return whether any group of sites is there only sometimes."""
    return any(
        len(one.get("sites_in_groups") or ()) > 1
        or any(probability < 1.0 for probability in one.get("group_probabilities") or ())
        for one in assemblies or ()
    )


def _check_formula(structure: Structure, stated: Any) -> None:
    """Compare the atoms with the formula of the entry: exactly, or within 1 % where disordered.

    Raises
    ------
    InputError
        When they differ.
    """
    try:
        expected = Composition(stated or "").element_composition
    except ValueError:  # a fanciful formula says nothing
        return
    if not expected:
        return
    found = element_composition(structure.composition)
    difference = max(
        abs(expected.get_atomic_fraction(element) - found.get_atomic_fraction(element))
        for element in {*expected, *found}
    )
    if difference > (1e-6 if structure.is_ordered else _DISORDERED_TOLERANCE):
        raise InputError(
            f"Its atoms make {found.reduced_formula}, its chemical_formula_reduced says {stated}.",
            hint="The entry contradicts itself; report it to the provider, and leave it out.",
        )


def _composition(species: dict[str, Any] | None, name: str) -> Composition:
    if species is None:
        return Composition({name: 1})
    amounts: dict[str, float] = {}
    symbols, fractions = species["chemical_symbols"], species["concentration"]
    for symbol, fraction in zip(symbols, fractions, strict=True):
        if symbol == "X":
            raise InputError("A site holds an unknown element.", hint=_LEAVE_OUT)
        if symbol != "vacancy":
            amounts[symbol] = amounts.get(symbol, 0.0) + float(fraction)
    return Composition(amounts)


def provider_databases(
    provider: str,
    policy: RequestPolicy | None = None,
    *,
    registries: Sequence[str] | None = None,
) -> list[str]:
    """Return the addresses of the databases of a registered provider.

    Parameters
    ----------
    provider : str
        Its name in the registry at https://providers.optimade.org, such as ``mp``, ``cod``,
        ``alexandria``.
    policy : RequestPolicy, optional
        How long each registry and the provider are given.
    registries : sequence of str, optional
        Addresses of the list of providers, tried in turn; by default the one of the consortium and
        its copy.

    Raises
    ------
    SettingsError
        When the package ``optimade`` is missing.
    FetchError
        When no registry answers, does not know the provider, or the provider does not say which
        databases it has.
    """
    _require_package()
    from optimade.utils import get_child_database_links

    session = type("Session", (RetryingSession,), {"policy": policy or _LOOK_UP_POLICY})()
    known = _providers(session, registries or REGISTRIES)
    if provider not in known:
        raise FetchError(
            f"OPTIMADE's registry knows no provider {provider!r}.",
            hint=f"It knows {', '.join(sorted(known))}; or give an address with --url.",
        )
    index = known[provider]
    if index is None:
        raise FetchError(
            f"The provider {provider} has no databases yet.", hint="Give an address with --url."
        )
    try:
        entry = {"id": provider, "base_url": index.rstrip("/")}
        links = get_child_database_links(entry, session=session)
    except FetchError as error:
        raise FetchError(
            f"The provider {provider} does not say which databases it has: {error.message}",
            hint="Try again later, or give an address with --url.",
        ) from None
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise FetchError(
            f"The provider {provider} does not say which databases it has: {str(error)[:200]}",
            hint="Give an address with --url.",
        ) from None
    found = sorted(str(link.attributes.base_url).rstrip("/") for link in links)
    if not found:
        raise FetchError(
            f"The provider {provider} has no databases that may be asked.",
            hint="Give an address with --url.",
        )
    return found


def _providers(session: RetryingSession, registries: Sequence[str]) -> dict[str, str | None]:
    """Return the address of the index of each provider, None where it has none."""
    reasons = []
    for address in registries:
        try:
            entries = session.get(address).json()["data"]
            return {one["id"]: _address(one["attributes"]["base_url"]) for one in entries}
        except FetchError as error:
            reasons.append(error.message)
        except (ValueError, KeyError, TypeError):
            reasons.append(f"{address} did not answer with a list of providers.")
    raise FetchError(
        f"OPTIMADE's registry of providers cannot be read: {' '.join(reasons)}",
        hint="Give the address of the database with --url.",
    )


def _address(value: Any) -> str | None:
    """Return an address, which OPTIMADE writes as text or as an object."""
    return value.get("href") if isinstance(value, dict) else value


def _require_package() -> None:
    if find_spec("optimade") is None:
        raise SettingsError(
            "The package optimade is not installed.", hint="pip install 'superionic[optimade]'"
        )
