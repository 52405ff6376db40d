"""The page itself: everything escaped, nothing loaded, one bad document no obstacle."""

import base64
import hashlib
import json
import re
import zlib

import pytest
from report_documents import (
    MSD,
    Page,
    content_of,
    documents_of,
    failure,
    label,
    landscape_parts,
    prediction,
    row_of,
    validation,
)

from superionic.errors import FigureError
from superionic.report.documents import MaterialDocuments
from superionic.report.html import page as page_module
from superionic.report.html.page import formula_parts, render, write_report
from superionic.report.html.payload import Payloads
from superionic.schemas.document import Interval
from superionic.schemas.label import LabelRow
from superionic.store.builders.documents import read_document

pytest.importorskip("plotly", reason="plotly is not installed (extra report)")
pytest.importorskip("jinja2", reason="jinja2 is not installed (extra report)")

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\"'&amp;"
LOADS = re.compile(
    r"""(?:\b(?:src|href|action|poster|data|srcset)\s*=\s*["']?|url\(\s*["']?|@import\s+["']?)"""
    r"""\s*(?:https?:)?//""",
    re.IGNORECASE,
)


def whole(material_id, xi, **fields):
    """Return a row with all parts, and its documents."""
    outputs = [
        landscape_parts(material_id, xi, **fields),
        prediction(material_id, 0.5),
        label(material_id, 2.0, msd=MSD, **{k: v for k, v in fields.items() if k == "formula"}),
        validation(material_id, "confirmed"),
    ]
    row = row_of(*outputs)
    return row, documents_of(row, *outputs)


@pytest.fixture(scope="module")
def evil():
    """Return a page whose documents hold markup wherever they hold text."""
    warnings = [{"code": f"code {EVIL}", "text": f"text {EVIL}"}]
    row, documents = whole(f"name {EVIL}", 0.5, formula=f"Li {EVIL}", warnings=warnings)
    row = row.model_copy(update={"source": EVIL, "settings": {EVIL: {"x": EVIL}}})
    documents.row = row
    other = row_of(landscape_parts("plain", 0.1))
    broken = other.model_dump() | {"key": f"broken {EVIL}", "n_atoms": EVIL}
    content = content_of(
        [row, other],
        {row.material_id: documents},
        stored=[broken],
        failures=[failure(f"failed {EVIL}", code=EVIL, message=EVIL, hint=EVIL)],
    )
    return content, render(content)


def test_markup_of_documents_is_text(evil):
    content, html = evil
    page = Page(html)
    assert len(content.sections) == 2
    assert len(page.scripts) == len(content.payloads.texts) + 2
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    for expected in ("name ", "Li ", "code ", "text ", "failed ", "broken "):
        assert f"{expected}{EVIL}" in page.text


def test_data_of_figures_are_json_that_no_markup_ends(evil):
    content, html = evil
    page = Page(html)
    for key in content.payloads.texts:
        unpacked(page.json(key))
    names = unpacked(page.json("agreement-0"))["names"]
    assert any("&lt;script&gt;" in name for name in names)
    assert not any("<script" in name for name in names)
    csv = unpacked(page.json("csv"))["text"]
    assert f"text {EVIL}"[:20] not in csv  # warnings are codes there
    assert "plain" in csv


def unpacked(text):
    found = json.loads(text)
    return json.loads(zlib.decompress(base64.b64decode(found))) if isinstance(found, str) else found


def test_the_page_loads_nothing(evil):
    _, html = evil
    page = Page(html)
    plotly_js = next(
        text for attributes, text in page.scripts if attributes.get("type") == "text/plain"
    )
    assert len(plotly_js) > 1_000_000
    own = html.replace(plotly_js, "")
    assert html.count(plotly_js) == 1
    assert not LOADS.search(own)
    assert not {"link", "iframe", "object", "embed", "img"} & {tag for tag, _ in page.tags}
    links = [attributes.get("href") for tag, attributes in page.tags if tag == "a"]
    assert links
    assert all(link.startswith("#") for link in links)
    targets = {attributes.get("id") for _, attributes in page.tags}
    assert {link[1:] for link in links} <= targets


def test_the_pattern_finds_loads():
    for load in ('<img src="https://a/b">', "url(//cdn.x)", "<a href='http://x'>", '@import "//x"'):
        assert LOADS.search(load), load
    assert not LOADS.search("text about https://example.org")


def test_only_the_two_scripts_of_the_page_may_run(evil):
    _, html = evil
    page = Page(html)
    header = next(a for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    policy = header["content"]
    assert "default-src 'none'" in policy
    script_rule = next(rule for rule in policy.split(";") if "script-src" in rule)
    assert "unsafe-inline" not in script_rule
    assert "http" not in policy
    runs = [text for a, text in page.scripts if a.get("type") in (None, "text/plain")]
    assert len(runs) == 2
    for text in runs:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in script_rule


def test_a_material_with_all_parts_has_all_figures_and_numbers():
    row, documents = whole("all", 0.5)
    content = content_of([row], {"all": documents})
    slots = content.figures["m1"]
    assert [
        slot.reason for slot in slots if slot.key is None and "Conductivity" not in slot.title
    ] == []
    assert {"m1-landscape", "m1-volume", "m1-msd-0"} <= set(content.payloads.texts)
    text = Page(render(content)).text
    assert "2.00 ± 0.20" in text  # the slope with its error
    assert "weights of chgnet" in text
    assert "superionic label all.cif" in text
    assert "--seed 0" in text
    assert "superionic screen all.cif --mobile Li --potential chgnet:0.3.0 --step 0.25" in text


def test_a_published_label_is_shown_as_such_with_its_curve():
    row = row_of(landscape_parts("a", 0.5))
    published = LabelRow.from_document(read_document(label("a", 2.0, msd=MSD)))
    content = content_of([row], labels=[published])
    assert "m1-msd-0" in content.payloads.texts
    text = Page(render(content)).text
    assert "diffusing (data set)" in text
    assert "2.00 ± 0.20" in text
    assert "1 labels are those of a data set" in text


def test_a_landscape_alone_is_a_report_that_says_what_is_missing():
    row = row_of(landscape_parts("alone", 0.5))
    text = Page(render(content_of([row]))).text
    for command in ("superionic predict", "superionic label", "superionic validate"):
        assert command in text
    assert "Fewer than 4 materials" in text


def test_nothing_at_all_is_a_page_too():
    text = Page(render(content_of([]))).text
    assert "There are no rows" in text


def test_bad_documents_are_listed_and_the_others_shown():
    good, documents = whole("good", 0.5)
    odd, broken = whole("odd", 0.4)
    arrays = broken.landscape.arrays.model_copy(update={"energies_eV": []})
    broken.put(broken.landscape.model_copy(update={"arrays": arrays}))
    broken.put(broken.descriptors.model_copy(update={"thresholds_eV": []}))
    content = content_of([good, odd], {"good": documents, "odd": broken}, stored=[{"key": "lost"}])
    assert [section.row.material_id for section in content.sections] == ["good", "odd"]
    assert "m1-landscape" in content.payloads.texts
    assert "m2-landscape" not in content.payloads.texts
    absent = [slot for slot in content.figures["m2"] if slot.key is None]
    assert absent
    assert all(slot.reason for slot in absent)
    text = Page(render(content)).text
    assert "row lost" in text
    assert "Crystal with its landscape, and energy along the percolation path: not drawn" in text


def test_a_section_that_cannot_be_made_falls_back_on_the_row():
    row, documents = whole("odd", 0.4)
    documents.row = row = row.model_copy(update={"settings": {"landscape": "no mapping"}})
    content = content_of([row], {"odd": documents})
    assert "its documents" in [problem.what for problem in content.sections[0].problems]
    assert "odd" in Page(render(content)).text


def test_rows_of_several_potentials_are_ranked_apart():
    rows = [row_of(landscape_parts("a", 0.5)), row_of(landscape_parts("b", 0.4))]
    rows.append(row_of(landscape_parts("a", 0.9, potential="sevennet:7net-0")))
    content = content_of(rows, top=1)
    assert [(one.row.material_id, one.row.potential) for one in content.sections] == [
        ("a", "chgnet:0.3.0"),
        ("a", "sevennet:7net-0"),
    ]
    assert {"mobile_species", "potential"} <= {column.key for column in content.table.columns}


def test_cells_sort_by_values_and_barriers_without_end_come_after_finite_ones():
    rows = [row_of(landscape_parts("a", 0.5, mpe_eV=None)), row_of(landscape_parts("b", 0.4))]
    rows.append(row_of(prediction("c", 0.3)))
    content = content_of(rows)
    place = [column.key for column in content.table.columns].index("mpe_eV")
    cells = {line.row.material_id: line.cells[place] for line in content.table.rows}
    assert cells["a"].text == "none"
    assert cells["a"].value > cells["b"].value == 0.5
    assert cells["c"].value is None


def test_intervals_of_learned_landscapes_are_shown_in_table_and_numbers():
    bounds = {"mpe_eV": Interval(low=0.4, high=0.6), "xi": Interval(low=0.45, high=None)}
    row = row_of(landscape_parts("learned", 0.5)).model_copy(update={"intervals": bounds})
    content = content_of([row])
    place = [column.key for column in content.table.columns].index("mpe_eV")
    cell = content.table.rows[0].cells[place]
    assert (cell.text, cell.value) == ("0.500 [0.400, 0.600]", 0.5)
    text = Page(render(content)).text
    assert "0.500 [0.450, ∞]" in text
    assert "0.500 [0.400, 0.600] eV" in text


def test_other_potentials_stand_beside_a_material():
    row = row_of(landscape_parts("a", 0.5))
    other = row_of(landscape_parts("a", 0.9, potential="sevennet:7net-0", mpe_eV=0.25))
    found = MaterialDocuments(row)
    found.others = [other]
    (section,) = content_of([row], {"a": found}).sections
    assert [one.potential for one in section.others] == ["chgnet:0.3.0", "sevennet:7net-0"]
    assert [one.barrier for one in section.others] == ["0.500", "0.250"]
    assert "By other potentials" in Page(render(content_of([row], {"a": found}))).text
    assert "By other potentials" not in Page(render(content_of([row]))).text


def test_script_json_is_json_without_angle_brackets():
    content = {"<a>": ["</script>", "&", "é\u2028", 0.1, None]}
    payloads = Payloads()
    payloads.add("a", content)
    text = payloads.texts["a"]
    assert json.loads(text) == content
    assert not set("<>&\u2028") & set(text)


def test_long_data_are_packed_and_numbers_shortened():
    payloads = Payloads()
    numbers = [i / 7 for i in range(10_000)]
    payloads.add("long", {"x": numbers, "nan": float("nan")})
    found = unpacked(payloads.texts["long"])
    assert found["nan"] is None
    assert found["x"] == pytest.approx(numbers, rel=1e-5)
    assert len(payloads.texts["long"]) < len(json.dumps(numbers)) / 2


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        (
            "Li10Ge(PS6)2",
            [("Li", False), ("10", True), ("Ge(PS", False), ("6", True), (")", False), ("2", True)],
        ),
        ("Li0.5La", [("Li", False), ("0.5", True), ("La", False)]),
        ("2<b>", [("2<b>", False)]),
    ],
)
def test_numbers_of_formulas_are_set_lower(formula, parts):
    assert formula_parts(formula) == parts


def test_the_file_is_written_in_one_step(tmp_path):
    content = content_of([row_of(landscape_parts("a", 0.5))], top=0)
    size = write_report(content, tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").stat().st_size == size


def test_what_to_install_is_said(monkeypatch):
    monkeypatch.setattr(page_module, "find_spec", lambda name: None)
    with pytest.raises(FigureError, match="plotly and jinja2") as caught:
        render(content_of([]))
    assert "superionic[report]" in caught.value.hint


def test_unread_documents_leave_a_material_with_its_row():
    row = row_of(landscape_parts("a", 0.5), label("a", 1.0))
    section = content_of([row], {"a": MaterialDocuments(row)}).sections[0]
    assert section.dynamics[0][:3] == ("1000", "0", "diffusing")
    assert section.cif is None
