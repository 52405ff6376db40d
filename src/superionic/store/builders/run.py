"""Run a maggma builder in this process, quietly."""

from maggma.core import Builder
from maggma.utils import grouper


def run_builder(builder: Builder) -> None:
    """Run a builder as ``Builder.run`` does, without its progress bar and its logging set-up."""
    builder.connect()
    for chunk in grouper(builder.get_items(), builder.chunk_size):
        processed = [builder.process_item(item) for item in chunk]
        builder.update_targets([item for item in processed if item is not None])
    builder.finalize()
