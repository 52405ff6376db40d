"""The Firetask that runs one job of a flow."""

from typing import Any

from fireworks.core.firework import FWAction
from fireworks.utilities.fw_utilities import explicit_serialize
from jobflow.managers.fireworks import JobFiretask, flow_to_workflow

from superionic.errors import SettingsError, SuperionicError


class NoJobStoreError(SettingsError):
    """The process that runs a job has no place for its results."""

    code = "no_job_store"


@explicit_serialize
class StoredJobFiretask(JobFiretask):
    """Run a job as jobflow's task does, but only where its result will be kept.

    The store is always the one of the process that runs the job: a store in the task would put its
    password into the launchpad.
    """

    _fw_name = "{{superionic.cluster.task.StoredJobFiretask}}"

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run the job.

        Raises
        ------
        NoJobStoreError
            When jobflow would keep the result in memory.
        SuperionicError
            As the job raises it, naming the material.
        """
        require_job_store()
        try:
            action = super().run_task(fw_spec)
        except SuperionicError as error:
            raise error.for_material(fw_spec.get("material_id", "")) from None
        for workflow in (*action.detours, *action.additions):
            store_results(workflow)
        return action


def require_job_store() -> None:
    """Refuse a job store in memory, which jobflow falls back to without a word.

    Raises
    ------
    NoJobStoreError
        When there is no other.
    """
    from jobflow import SETTINGS
    from maggma.stores import MemoryStore, MongoStore

    docs = SETTINGS.JOB_STORE.docs_store
    if isinstance(docs, MemoryStore) or not isinstance(docs, MongoStore):
        raise NoJobStoreError(
            f"jobflow has no job store on a server here (but a {type(docs).__name__}); the result "
            "would be lost.",
            hint="Let JOBFLOW_CONFIG_FILE name a jobflow.yaml, as 'superionic init' writes it.",
        )


def store_results(workflow: Any) -> None:
    """Let all jobs of a FireWorks workflow run as :class:`StoredJobFiretask`, without a store."""
    for firework in workflow.fws:
        firework.tasks = [
            StoredJobFiretask(job=task["job"], store=None)
            if isinstance(task, JobFiretask)
            else task
            for task in firework.tasks
        ]


def workflow_of(flow: Any, **kwargs: Any) -> Any:
    """Return the FireWorks workflow of a jobflow flow."""
    workflow = flow_to_workflow(flow, None, **kwargs)
    store_results(workflow)
    return workflow
