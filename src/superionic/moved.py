"""Where modules are that documents and queued jobs of older versions name.

jobflow and FireWorks keep the path of a class or function with what they store. A module that moves
is named in :data:`MOVED`, so that what was stored before can still be read and run. A class that is
renamed keeps its former name in its module, as a second one.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED: dict[str, str] = {
    "superionic.builders": "superionic.store.builders",
    "superionic.cache": "superionic.files",
    "superionic.campaign": "superionic.workflows.campaign",
    "superionic.campaign.worker": "superionic.workflows.campaign.local_worker",
    "superionic.cli.cluster_options": "superionic.cli.options",
    "superionic.cli.counting": "superionic.cli.bars",
    "superionic.cli.explain": "superionic.cli.query",
    "superionic.cli.progress": "superionic.workflows.campaign.progress",
    "superionic.cli.refine": "superionic.cli.compute",
    "superionic.cli.rerun": "superionic.cli.recover",
    "superionic.cli.study_progress": "superionic.cli.bars",
    "superionic.cli.training_progress": "superionic.cli.bars",
    "superionic.cluster.build": "superionic.store.builders.build",
    "superionic.cluster.campaign_file": "superionic.workflows.campaign.definition",
    "superionic.cluster.estimate": "superionic.workflows.campaign.forecast",
    "superionic.cluster.flows": "superionic.workflows.makers.table",
    "superionic.cluster.lease": "superionic.store.database.lease",
    "superionic.cluster.names": "superionic.store.builders.names",
    "superionic.cluster.owner": "superionic.store.database.owner",
    "superionic.cluster.patience": "superionic.cluster.retry",
    "superionic.cluster.rerun": "superionic.cluster.repair",
    "superionic.collection": "superionic.store.collection",
    "superionic.cores": "superionic.processes",
    "superionic.database": "superionic.store.database",
    "superionic.database.engines": "superionic.store.database.programs",
    "superionic.diffusion": "superionic.dynamics",
    "superionic.diffusion.chgnet_forces": "superionic.potentials.chgnet.force_field",
    "superionic.diffusion.dynamics": "superionic.dynamics.runner",
    "superionic.diffusion.forces": "superionic.potentials.force_field",
    "superionic.diffusion.md_settings": "superionic.dynamics.settings",
    "superionic.diffusion.neighbours": "superionic.potentials.chgnet.neighbours",
    "superionic.directories": "superionic.files",
    "superionic.dynamics.calculator": "superionic.potentials.calculator",
    "superionic.dynamics.hops": "superionic.dynamics.msd",
    "superionic.flows": "superionic.workflows.makers",
    "superionic.jobs": "superionic.workflows.jobs",
    "superionic.jobs.hop": "studies.hops.maker",
    "superionic.jobs.keys": "superionic.workflows.keys",
    "superionic.landscape.hop": "studies.hops.hop",
    "superionic.landscape.plans": "superionic.landscape.points",
    "superionic.network.fold_metrics": "superionic.network.metrics",
    "superionic.network.processes": "superionic.processes",
    "superionic.network.run_files": "superionic.network.training",
    "superionic.network.shake_cache": "superionic.network.training_data",
    "superionic.potentials.batch_size": "superionic.potentials.batched",
    "superionic.potentials.chgnet_device": "superionic.potentials.chgnet.device",
    "superionic.potentials.chgnet_frozen": "superionic.potentials.chgnet.frozen",
    "superionic.potentials.chgnet_kernels": "superionic.potentials.chgnet.kernels",
    "superionic.potentials.chgnet_layout": "superionic.potentials.chgnet.layout",
    "superionic.potentials.chgnet_md": "superionic.potentials.chgnet.md",
    "superionic.potentials.chgnet_md_kernels": "superionic.potentials.chgnet.md_kernels",
    "superionic.potentials.chgnet_md_layers": "superionic.potentials.chgnet.md_layers",
    "superionic.potentials.chgnet_md_layout": "superionic.potentials.chgnet.md_layout",
    "superionic.potentials.chgnet_md_network": "superionic.potentials.chgnet.md_network",
    "superionic.potentials.chgnet_network": "superionic.potentials.chgnet.network",
    "superionic.potentials.chgnet_pack": "superionic.potentials.chgnet.pack",
    "superionic.potentials.compiled": "superionic.potentials.chgnet.compiled",
    "superionic.potentials.gated_kernels": "superionic.potentials.chgnet.gated_kernels",
    "superionic.potentials.models": "superionic.potentials.registry",
    "superionic.query": "superionic.api.rows",
    "superionic.ranking": "superionic.store.ranking",
    "superionic.ranking.indexes": "superionic.schemas.indexes",
    "superionic.report.evaluation": "superionic.report.tables.evaluation",
    "superionic.report.explanation": "superionic.report.tables.explanation",
    "superionic.report.export": "superionic.report.tables.export",
    "superionic.report.figures.about": "superionic.report.figures.style",
    "superionic.report.figures.ranking_slopes": "superionic.report.figures.ranking",
    "superionic.report.figures.wrapping": "superionic.report.figures.path",
    "superionic.report.html.links": "superionic.report.documents",
    "superionic.report.html.reading": "superionic.report.documents",
    "superionic.report.labels": "superionic.report.tables.labels",
    "superionic.report.links": "superionic.report.documents",
    "superionic.report.orderings": "superionic.report.tables.ranking",
    "superionic.report.predictions": "superionic.report.tables.predictions",
    "superionic.report.ranking": "superionic.report.tables.ranking",
    "superionic.report.serve.limits": "superionic.report.serve.security",
    "superionic.report.serve.sessions": "superionic.report.serve.security",
    "superionic.report.tables.orderings": "superionic.report.tables.ranking",
    "superionic.report.tables.page": "superionic.report.tables.text_table",
    "superionic.report.tables_page": "superionic.report.tables.text_table",
    "superionic.report.text_table": "superionic.report.tables.text_table",
    "superionic.report.validation": "superionic.report.tables.validation",
    "superionic.schemas.analysis": "superionic.schemas.label",
    "superionic.schemas.failure": "superionic.schemas.document",
    "superionic.schemas.hop": "studies.hops.document",
    "superionic.schemas.orderings": "superionic.schemas.document",
    "superionic.serve": "superionic.report.serve",
    "superionic.store.builders.orphans": "superionic.store.builders.build",
    "superionic.store.builders.run": "superionic.store.builders.screening",
    "superionic.store.database.diagnosis": "superionic.cluster.diagnosis",
    "superionic.store.database.engines": "superionic.store.database.programs",
    "superionic.store.ranking.parts": "superionic.store.ranking.features",
    "superionic.structures.abundance": "superionic.structures.filters",
    "superionic.structures.hashing": "superionic.structures.candidate",
    "superionic.structures.mobile_ions": "superionic.structures.species",
    "superionic.structures.remark": "superionic.errors",
    "superionic.surrogate": "superionic.network",
    "superionic.workflows.campaign.engine": "superionic.workflows.campaign.local",
    "superionic.workflows.campaign.worker": "superionic.workflows.campaign.local_worker",
    "superionic.workflows.jobs.hop": "studies.hops.maker",
    "superionic.workflows.jobs.network": "superionic.workflows.jobs.prediction",
    "superionic.workflows.jobs.shakes": "superionic.workflows.jobs.prediction",
}
"""Former paths of modules and packages, and their paths now; the longest that fits counts.

Those of ``studies`` are found where that folder is, in a checkout of the repository.
"""


class _Moved(MetaPathFinder, Loader):
    """Finds modules by their former paths: the module that is elsewhere now, and no copy of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a module of a former path is loaded, None for any other."""
        return None if current_path(fullname) == fullname else ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today in the place of the one that was asked for."""
        sys.modules[module.__name__] = importlib.import_module(current_path(module.__name__))


def current_path(path: str) -> str:
    """Return where a module is today, by its own former path or that of a package around it."""
    head, tail = path, ""
    while head:
        if head in MOVED:
            return current_path(MOVED[head] + tail)
        head, _, last = head.rpartition(".")
        tail = f".{last}{tail}"
    return path


def install() -> None:
    """Let imports find what has moved."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Moved())  # before those that would load a second copy
