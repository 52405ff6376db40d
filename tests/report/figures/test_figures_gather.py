"""From stores to figures, and what is said where data are missing."""

from types import SimpleNamespace

import pytest
from figure_documents import IONS, arrhenius_validation, channel, descriptors, labelled, rows
from maggma.stores import MemoryStore

from superionic.errors import FigureError
from superionic.report.documents import MaterialDocuments
from superionic.report.figures import gather
from superionic.report.figures.kinds import KINDS, Request
from superionic.schemas.screen import DescriptorsDocument
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.policies import ranked


@pytest.fixture
def database():
    """Return stores in memory: m-1 with everything, m-2 with descriptors alone."""
    from figure_documents import document

    landscape = channel().model_dump()
    landscape["structure"] = channel().structure.as_dict()
    validation = arrhenius_validation()
    stored_validation = validation.model_dump() | {"job_uuid": "validation-1"}
    outputs = [
        descriptors("m-1", xi=0.9, mpe_eV=0.4),
        labelled("m-1", 3.0),
        labelled("m-1", 1.0, temperature_K=800.0, minutes=1),
        stored_validation,
        descriptors("m-2", xi=0.5, landscape_uuid=None),
    ]
    documents = [document(output) for output in outputs]
    found = ranked([screening_document(documents[:4]), screening_document(documents[4:])])
    stores = [MemoryStore(key=key) for key in ("uuid", "key", "key")]
    for store in stores:
        store.connect()
    outputs_store, screening, failures = stores
    outputs_store.update(
        [
            {"uuid": uuid, "index": 1, "output": output}
            for uuid, output in [("landscape", landscape), *((o["job_uuid"], o) for o in outputs)]
        ],
        key="uuid",
    )
    screening.update([one.model_dump() for one in found])
    failures.update([{"key": "k", "material_id": "m-9", "code": "disorder", "message": "Half."}])

    def query_one(criteria, properties=None, sort=None, load=None):
        return outputs_store.query_one(criteria, properties, sort)

    job_store = SimpleNamespace(docs_store=outputs_store, query_one=query_one)
    return SimpleNamespace(job_store=job_store, screening=screening, failures=failures)


def test_every_kind_of_a_material_is_gathered_and_drawn(database):
    row = gather.row_of(database, "m-1")
    listed = gather.figures_of(MaterialDocuments(row, database))
    assert [one.name for one in listed] == ["landscape", "volume", "msd-0", "msd-1", "arrhenius"]
    assert all(one.draw().data for one in listed)
    for kind in [name for name, kind in KINDS.items() if kind.scope == "material"]:
        data = gather.gather(database, Request(kind, "m-1"))
        assert KINDS[kind].plotly(data).data
        assert KINDS[kind].static(data).axes
    scene = gather.gather(database, Request("landscape", "m-1"))
    assert scene.barriers_eV[0] == pytest.approx(0.4)
    assert gather.gather(database, Request("path", "m-1")).highest_eV == pytest.approx(0.4)
    assert gather.gather(database, Request("msd", "m-1")).slope_A2_per_ps == 3.0
    assert IONS.n_mobile == gather.gather(database, Request("arrhenius", "m-1")).n_mobile
    assert [one.material_id for one in gather.gather(database, Request("conductivities"))] == [
        "m-1"
    ]


def test_the_temperature_of_the_dynamics_can_be_chosen(database):
    assert (
        gather.gather(database, Request("msd", "m-1", temperature_K=800.0)).slope_A2_per_ps == 1.0
    )
    with pytest.raises(FigureError, match="no molecular dynamics of it at 300 K"):
        gather.gather(database, Request("msd", "m-1", temperature_K=300.0))


def test_volume_falls_back_to_the_descriptors(database):
    row = gather.row_of(database, "m-2")
    (listed,) = gather.figures_of(MaterialDocuments(row, database))
    assert listed.name == "volume"
    curve = gather.gather(database, Request("volume", "m-2"))
    assert not curve.continuous
    document = DescriptorsDocument.model_validate(descriptors("m-2", xi=0.5))
    assert list(curve.energies_eV) == document.thresholds_eV
    assert list(curve.fraction) == document.fv_disconnected_union
    assert KINDS["volume"].static(curve).axes


@pytest.mark.parametrize(
    ("kind", "said", "hint"),
    [
        ("landscape", "landscape is not in the database", "superionic screen"),
        ("path", "landscape is not in the database", "superionic screen"),
        ("msd", "no molecular dynamics of it", "superionic label"),
        ("arrhenius", "no molecular dynamics of it at several", "superionic validate"),
    ],
)
def test_what_a_material_lacks_is_said(database, kind, said, hint):
    with pytest.raises(FigureError, match=said) as caught:
        gather.gather(database, Request(kind, "m-2"))
    assert caught.value.material_id == "m-2"
    assert hint in caught.value.hint


def test_documents_and_arrays_that_are_gone(database):
    row = gather.row_of(database, "m-1")

    def broken(*arguments, **options):
        raise KeyError("blob")  # as jobflow does where the store of arrays lacks one

    database.job_store.query_one = broken
    with pytest.raises(FigureError, match="landscape is not in the database"):
        gather.gather(database, Request("landscape", "m-1"))
    assert gather.gather(database, Request("volume", "m-1")).continuous is False
    database.job_store.docs_store.remove_docs({})
    with pytest.raises(FigureError, match="'diffusion' that the row was made from"):
        gather.gather(database, Request("msd", "m-1"))
    assert row.landscape_uuid == "landscape"


def test_document_of_another_version_is_an_error_of_ours(database):
    store = database.job_store.docs_store
    stored = store.query_one({"output.kind": "diffusion", "output.temperature_K": 1000.0})
    stored["output"]["slope"]["slope_A2_per_ps"] = "fast"
    store.update([stored], key="uuid")
    with pytest.raises(FigureError, match=r"slope\.slope_A2_per_ps"):
        gather.gather(database, Request("msd", "m-1"))


def test_unknown_materials_and_kinds(database):
    with pytest.raises(FigureError, match=r"m-9: .*It failed \[disorder\]: Half\."):
        gather.row_of(database, "m-9")
    with pytest.raises(FigureError, match="no figure 'pie'"):
        gather.gather(database, Request("pie"))
    with pytest.raises(FigureError, match="of one material"):
        gather.gather(database, Request("msd"))
    with pytest.raises(FigureError, match="Learning curves are not in the database"):
        gather.gather(database, Request("learning_curves"))


def test_campaign_kinds_take_rows_of_one_potential(database):
    other = [one.model_copy(update={"potential": "toy:1", "key": one.key + "t"}) for one in rows()]
    database.screening.update([one.model_dump() for one in other[:1]], key="key")
    data = gather.gather(database, Request("ranking", policy="xi"))
    assert [one.material_id for one in data.materials] == ["m-1", "m-2"]
    assert data.materials[0].simulated.value == pytest.approx(0.4771, abs=1e-4)
    only = gather.gather(database, Request("ranking", policy="xi", potential="toy:1"))
    assert only.n_materials == 1
    database.screening.remove_docs({})
    with pytest.raises(FigureError, match="has no rows"):
        gather.gather(database, Request("ranking", policy="xi"))
