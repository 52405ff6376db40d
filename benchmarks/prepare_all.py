"""Take all crystals of files through what comes before a landscape, and count what becomes of them.

python benchmarks/prepare_all.py CRYSTALS... --mobile Li --filters FILE
"""

import argparse
import time
import warnings
from collections import Counter
from pathlib import Path

warnings.filterwarnings("ignore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--mobile", default="Li")
    parser.add_argument("--filters", type=Path, help="YAML file with a list 'filters'")
    options = parser.parse_args()

    from superionic.errors import InputError
    from superionic.structures import PrepareSettings, prepare
    from superionic.structures.filters import read_filters
    from superionic.workflows.campaign.definition import campaign_of
    from superionic.workflows.campaign.selection import select

    start = time.process_time()
    fields = {"crystals": options.paths, "mobile_species": options.mobile, "flow": "label"}
    filters = read_filters(options.filters) if options.filters else []
    settings = PrepareSettings()
    (chosen,) = select(campaign_of({**fields, "filters": filters}))
    selected = time.process_time()
    for line in chosen.lines():
        print(line)
    duplicates = chosen.duplicates()
    failed, remarks, sizes = Counter(), Counter(), []
    for candidate in chosen.candidates:
        if candidate.material_id in duplicates:
            continue
        try:
            crystal = prepare(candidate, options.mobile, settings)
        except InputError as error:
            failed[error.code] += 1
            print(f"       {error}")
            continue
        sizes.append(len(crystal.structure))
        remarks.update({remark.code for remark in crystal.warnings})
    print(f"{len(sizes):6} ready to be computed, {min(sizes)} to {max(sizes)} atoms")
    for code, n in failed.most_common():
        print(f"{-n:6} refused: {code}")
    for code, n in remarks.most_common():
        print(f"{n:6} with the remark: {code}")
    end = time.process_time()
    print(f"{selected - start:.0f} s to select, {end - selected:.0f} s to prepare, one core")


if __name__ == "__main__":
    main()
