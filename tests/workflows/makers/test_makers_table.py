"""The table of flows: its paths lead somewhere, it costs nothing, and a site may add to it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from superionic import settings
from superionic.errors import SettingsError
from superionic.report.tables.view import View, view_of
from superionic.workflows.makers.base import MaterialMaker
from superionic.workflows.makers.table import FLOWS, FlowKind, flow_kind, imported, order_of


@pytest.mark.parametrize("name", FLOWS)
def test_what_an_entry_names_is_there(name):
    kind = flow_kind(name)
    maker = kind.maker_class()()
    assert isinstance(maker, MaterialMaker)
    assert maker.with_options(**dict.fromkeys(kind.option_names())) == maker
    assert imported(kind.document).model_fields
    assert isinstance(view_of(kind), View)
    for path in filter(None, (kind.results, kind.reuse, kind.order)):
        assert callable(imported(path))
    order = order_of(kind)
    assert order is None or callable(order)


def test_the_table_imports_nothing_that_is_slow():
    code = (
        "import sys, superionic.workflows.makers.table; "
        "print(sorted({'jobflow', 'pymatgen', 'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_flows_of_a_site(monkeypatch):
    own = FlowKind("own", maker="x:Y", jobs=(), result_kind="own", document="x:Z")
    monkeypatch.setitem(sys.modules, "of_a_site", SimpleNamespace(FLOW=own))

    def name(*paths):
        monkeypatch.setattr(settings, "get_settings", lambda: SimpleNamespace(flows=paths))

    name("of_a_site:FLOW")
    assert flow_kind("own") is own
    assert order_of(own)(SimpleNamespace(work=3)) == 3.0
    with pytest.raises(SettingsError, match=r"no flow 'other'.*screen, .*own"):
        flow_kind("other")
    name("of_a_site:FLAW")
    with pytest.raises(SettingsError, match="setting 'flows' names of_a_site:FLAW"):
        flow_kind("other")
    assert flow_kind("screen").name == "screen"
    with pytest.raises(SettingsError, match="setting 'flows'"):
        flow_kind("nothing")
