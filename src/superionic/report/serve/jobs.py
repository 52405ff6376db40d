"""How the jobs of the campaign stand, as the launchpad tells."""

from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.retry import RetryPolicy
from superionic.cluster.site import LaunchpadSpec, launchpad_file, launchpad_in, open_launchpad
from superionic.cluster.site import read_launchpad as read_launchpad_file
from superionic.cluster.status import Status, read_status
from superionic.report.serve.models import CampaignAnswer, FailureGroup
from superionic.report.serve.settings import ServeSettings
from superionic.report.serve.source import Cached
from superionic.store.database.stores import DatabaseSpec

STATUS_LASTS_S = 20.0
_MOST_FW_IDS = 20
_NOTHING = Status({}, {}, (), 0.0, None, 0, 0)


class Campaign:
    """The launchpad of a server; a look at it is kept for some seconds, since it may be costly.

    Parameters
    ----------
    database : DatabaseSpec
        The results database, where the launchpad is unless a file names another.
    settings : ServeSettings
        Launchpad file, address of FireWorks' web view, and how long to look for the launchpad.
    """

    def __init__(self, database: DatabaseSpec, settings: ServeSettings) -> None:
        path = launchpad_file(settings.launchpad)
        self.spec: LaunchpadSpec = (
            launchpad_in(database) if path is None else read_launchpad_file(path)
        )
        self.webgui_url = settings.webgui_url
        self.timeout_s = settings.connection_timeout_s
        self._answer: Cached[CampaignAnswer] = Cached(STATUS_LASTS_S)

    def read(self) -> CampaignAnswer:
        """Return how the jobs stand.

        Raises
        ------
        DatabaseError
            When the launchpad does not answer.
        """
        return self._answer.get(self._read)

    def _read(self) -> CampaignAnswer:
        opened: CampaignLaunchPad = open_launchpad(
            self.spec, RetryPolicy(0.0), writing=False, timeout_s=self.timeout_s
        )
        try:
            if not opened.is_prepared():
                return campaign_answer(_NOTHING, self.spec.description, self.webgui_url)
            status = read_status(opened)
        finally:
            opened.client.close()
        return campaign_answer(status, self.spec.description, self.webgui_url)


def campaign_answer(status: Status, launchpad: str, webgui_url: str | None) -> CampaignAnswer:
    """Return a status as the API shows it."""
    return CampaignAnswer(
        launchpad=launchpad,
        jobs=status.jobs,
        materials=status.materials,
        failures=[
            FailureGroup(
                cause=group.cause,
                n_jobs=len(group.fw_ids),
                fw_ids=list(group.fw_ids[:_MOST_FW_IDS]),
                example_material=str(group.example_material),
                example_job=str(group.example_job),
                example_text=str(group.example_text),
            )
            for group in status.failures
        ],
        jobs_per_minute=status.jobs_per_minute,
        time_left_s=status.time_left_s,
        n_lost=status.n_lost,
        n_locked=status.n_locked,
        webgui_url=webgui_url,
    )
