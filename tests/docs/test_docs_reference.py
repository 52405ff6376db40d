"""The reference is complete: whatever a user may set or read has a description."""

import inspect
import json
import re

import pytest
from docs_pages import DOCS, ROOT
from superionic_docs import GENERATED, filled_in
from superionic_docs.commands import commands
from superionic_docs.documents import fields_of, models
from superionic_docs.formulas import mathml
from superionic_docs.notebooks import PLOTLY, as_page
from superionic_docs.python import error_classes, front_door, job_makers, resolved
from superionic_docs.settings import filters, model_settings, setting_classes, settings_of
from superionic_docs.text import described, table, unit_of
from superionic_docs.units import typeset

from superionic.schemas.screening import ScreeningDocument


def test_every_command_and_option_has_a_description():
    found = commands()
    assert {"superionic screen", "superionic fetch mp", "superionic db start"} <= {
        command.name for command in found
    }
    missing = [command.name for command in found if not command.help]
    missing += [
        f"{command.name} {one.names[0]}"
        for command in found
        for one in command.parameters
        if not one.help
    ]
    assert missing == []
    screen = next(command for command in found if command.name == "superionic screen")
    options = {name: one for one in screen.parameters for name in one.names}
    assert options["--step"].default == "0.25"
    assert options["--relax"].value == "auto, cell, never"
    assert options["PATHS"].is_argument
    assert options["--campaign"].value
    (descriptors,) = [one for one in found if one.name == "superionic descriptors"]
    assert next(one for one in descriptors.parameters if one.names == ("FILE",)).required


def test_every_field_of_every_document_has_a_description():
    found = models()
    assert ScreeningDocument in found
    assert len(found) > 20
    missing = [
        f"{model.__name__}.{one.name}"
        for model in found
        for one in fields_of(model)
        if len(one.description) < 5
    ]
    assert missing == []


def test_a_unit_in_a_description_is_that_of_the_name():
    for model in models():
        for one in fields_of(model):
            said = re.search(
                r"\bin (eV/A|eV/atom|eV|A\^2/ps|cm\^2/s|S/cm|ps|fs|K)\b", one.description
            )
            if said is not None and one.unit:
                plain = one.unit.replace("Å", "A").replace("²", "^2").replace("³", "^3")
                assert plain == said[1], f"{model.__name__}.{one.name}: {one.description}"


def test_every_setting_has_a_description():
    from superionic.settings import SuperionicSettings
    from superionic.workflows.campaign.definition import Campaign

    missing = [
        f"{model.__name__}.{one.name}"
        for model in (SuperionicSettings, Campaign, *filters().values())
        for one in model_settings(model)
        if not one.description and one.name != "filter"
    ]
    missing += [
        f"{kind.__name__}.{one.name}"
        for kind in setting_classes()
        for one in settings_of(kind)
        if not one.description
    ]
    assert missing == []


def test_settings_are_found_through_the_makers_of_flows():
    where = {kind.__name__: places for kind, places in setting_classes().items()}
    assert where["LandscapeSettings"] == {"landscape_maker.settings": ["the flow `screen`"]}
    assert len(where["PrepareSettings"]["prepare_maker.settings"]) > 2
    assert {"VerdictRules", "LearnedSettings", "NetworkSettings", "VaspEngine"} <= set(where)


def test_every_public_name_is_on_its_page_with_a_docstring():
    import superionic

    page = filled_in((DOCS / "reference" / "python.md").read_text())
    names = [name for name in superionic.__all__ if not name.startswith("__")]
    assert "landscape" in names
    found = front_door()
    for name in names:
        assert f":: superionic.{name}\n" in page
        assert re.search(r"^(?:Parameters|Examples)$", inspect.getdoc(found[name]), re.M), name
    functions = [one for one in found.values() if inspect.isfunction(one)]
    assert [one.__name__ for one in functions if "Examples" not in one.__doc__] == []
    makers = filled_in((DOCS / "reference" / "makers.md").read_text())
    assert {"LandscapeMaker", "PrepareMaker"} <= {one.__name__ for one in job_makers()}
    assert all(f".{one.__name__}\n" in makers for one in job_makers())
    assert "SettingsError" in {one.__name__ for one in error_classes()}


def test_names_in_docstrings_are_looked_up():
    assert resolved("superionic.errors.SettingsError")
    assert resolved("superionic.settings.SuperionicSettings.data_dir")
    assert not resolved("superionic.errors.NoSuchError")
    assert not resolved("superionic.nowhere.Thing")


def test_notebooks_become_pages():
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")):
        text = path.read_text()
        page = as_page(text)
        assert "../docs/" not in page
        outputs = [o for cell in json.loads(page)["cells"] for o in cell.get("outputs", ())]
        assert not any(PLOTLY in output.get("data", {}) for output in outputs)
        assert page.count("Plotly.newPlot") == text.count(PLOTLY)


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("above 1 A^2/ps (0.2 A, 60 A^3)", "above 1 Å²/ps (0.2 Å, 60 Å³)"),
        (
            "forces in eV/A, slopes in cm^2/s, R^2 of one",
            "forces in eV/Å, slopes in cm²/s, R² of one",
        ),
        ("free volume (A^3 per ion) and k (A^-1)", "free volume (Å³ per ion) and k (Å⁻¹)"),
        ("settings such as '0.25 A exact', or \N{LEFT DOUBLE QUOTATION MARK}0.4 A", None),
        ("A crystal of group A, class A^*, mass^2, VITAMIN A", None),
    ],
)
def test_units_are_typeset_and_letters_left_alone(typed, printed):
    assert typeset(typed) == (printed or typed)


def test_formulas_of_pages_are_drawn_without_a_script():
    text = (DOCS / "physics.md").read_text()
    formulas = re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", text, re.DOTALL)
    assert len(formulas) > 20
    for displayed, inline in formulas:
        drawn = mathml(displayed or inline, display=bool(displayed))
        assert "\\" not in drawn, displayed or inline  # a command that is not known stays as it is


def test_every_environment_variable_that_is_read_is_there():
    page = filled_in((DOCS / "reference" / "settings.md").read_text())
    read = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(
            r"\b(?:SUPERIONIC|JOBFLOW|FW|MP|PMG)_[A-Z_]*[A-Z]\b", path.read_text()
        )
        if name.isupper()
    }
    known = {name for name in read if f"`{name}`" in page}
    assert "SUPERIONIC_MONGO_PASSWORD" in known
    assert read - known == set()


@pytest.mark.parametrize("name", sorted(set(GENERATED) - {"python", "makers", "errors"}))
def test_generated_pages_are_filled_in(name):
    source = (DOCS / "reference" / f"{name}.md").read_text()
    text = filled_in(source)
    assert len(text) > 5 * len(source)
    assert "generated:" not in text
    assert not re.search(r"<[\w.]+ object at|PydanticUndefined|MISSING", text)
    assert not re.search(r":(?:class|func|mod|meth|attr):`", text)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("mpe_eV", "eV"),
        ("msd_slope_A2_per_ps", "Å²/ps"),
        ("free_volume_A3_per_ion", "Å³/ion"),
        ("energy_above_hull_eV_per_atom", "eV/atom"),
        ("conductivity_300K_S_per_cm", "S/cm"),
        ("mpe_per_ion_eV", "eV"),
        ("fv_disconnected_2eV", ""),
        ("n_atoms", ""),
        ("shakes_per_crystal", ""),
        ("energies_per_job", ""),
        ("s", ""),
    ],
)
def test_unit_of_a_name(name, unit):
    assert unit_of(name) == unit


def test_docstrings_are_read():
    class Base:
        """One.

        Parameters
        ----------
        first, second : int
            Both, as :class:`~a.b.Thing` says
            in ``two`` lines.
        third : float
            Third.

        Raises
        ------
        ValueError
            Never.
        """

    class Child(Base):
        """Two.

        Attributes
        ----------
        third
            Better.
        """

    both = "Both, as `Thing` says in `two` lines."
    assert described(Child) == {"first": both, "second": both, "third": "Better."}


def test_tables_escape_what_ends_a_cell():
    assert table(("a",), [("x | y\nz",)]) == "| a |\n| --- |\n| x \\| y z |"
