"""How the jobs of the campaign stand, as the launchpad tells."""

from collections.abc import Callable
from dataclasses import asdict

from superionic.report.serve.models import CampaignAnswer
from superionic.report.serve.source import Cached
from superionic.schemas.jobs import JobsStatus

STATUS_LASTS_S = 20.0
_MOST_FW_IDS = 20


class Campaign:
    """The launchpad of a server; a look at it is kept for some seconds, since it may be costly.

    Parameters
    ----------
    launchpad : str
        Hosts and name of the launchpad, without secrets.
    look : callable
        Returns how its jobs stand, or raises a DatabaseError.
    webgui_url : str, optional
        Address of FireWorks' web view.
    """

    def __init__(
        self, launchpad: str, look: Callable[[], JobsStatus], webgui_url: str | None = None
    ) -> None:
        self.launchpad = launchpad
        self.webgui_url = webgui_url
        self._look = look
        self._answer: Cached[CampaignAnswer] = Cached(STATUS_LASTS_S)

    def read(self) -> CampaignAnswer:
        """Return how the jobs stand.

        Raises
        ------
        DatabaseError
            When the launchpad does not answer.
        """
        return self._answer.get(
            lambda: campaign_answer(self._look(), self.launchpad, self.webgui_url)
        )


def campaign_answer(status: JobsStatus, launchpad: str, webgui_url: str | None) -> CampaignAnswer:
    """Return a status as the API shows it."""
    answer = asdict(status) | {"launchpad": launchpad, "webgui_url": webgui_url}
    for group in answer["failures"]:
        group |= {"n_jobs": len(group["fw_ids"]), "fw_ids": group["fw_ids"][:_MOST_FW_IDS]}
    return CampaignAnswer.model_validate(answer)
