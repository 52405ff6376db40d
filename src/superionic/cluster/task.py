"""The Firetask that runs one job of a flow."""

from typing import Any

from fireworks.core.firework import FWAction
from fireworks.utilities.fw_utilities import explicit_serialize
from jobflow.managers.fireworks import JobFiretask, flow_to_workflow
from monty.json import MontyDecoder

from superionic.cluster.delivery import send
from superionic.cluster.identity import reason_to_refuse
from superionic.cluster.retry import RetryPolicy
from superionic.cluster.spool import SpoolingJobStore
from superionic.errors import SettingsError, SuperionicError
from superionic.potentials.trust import only_allowed


class NoJobStoreError(SettingsError):
    """The process that runs a job has no place for its results."""

    code = "no_job_store"


class JobLoadError(SuperionicError):
    """What the launchpad holds of a job cannot be made a job of."""

    code = "job_unreadable"


class LateResultError(SuperionicError):
    """Another process has the job by now."""

    code = "doubled"


@explicit_serialize
class StoredJobFiretask(JobFiretask):
    """Run a job as jobflow's task does, but only where its result will be kept.

    The store is always the one of the process that runs the job: a store in the task would put its
    password into the launchpad.
    """

    _fw_name = "{{superionic.cluster.task.StoredJobFiretask}}"

    @classmethod
    def from_dict(cls, m_dict: dict[str, Any]) -> "StoredJobFiretask":
        """Return the task with its job as data: it is loaded when it runs.

        Whoever handles workflows, a supervisor say, need not load jobs: one that ends the process
        that loads it would end them all. And a launch is counted before its job is loaded.
        """
        return cls(m_dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the task as data."""
        job = self["job"]
        if not isinstance(job, dict):
            return dict(super().to_dict())
        return {**self, "_fw_name": self._fw_name}

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run the job.

        Raises
        ------
        NoJobStoreError
            When jobflow would keep the result in memory.
        JobLoadError
            When it cannot be loaded, whatever happens then.
        LateResultError
            When the job was given to another process meanwhile.
        OtherPotentialError, PotentialNotFoundError, PotentialNotAllowedError
            When the potential that the job asks for is not the one that is here.
        SuperionicError
            As the job raises it, naming the material.
        """
        require_job_store()
        material_id = fw_spec.get("material_id", "")
        try:
            if (reason := reason_to_refuse(fw_spec.get("_superionic", {}))) is not None:
                raise reason
            self["job"] = _loaded(self["job"], material_id)
            with only_allowed():
                action = self._run(fw_spec)
        except SuperionicError as error:
            raise error.for_material(material_id) from None
        for workflow in (*action.detours, *action.additions):
            store_results(workflow)
        return action

    def _run(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run the job; its documents are written when it is done, if its launch still counts.

        A worker of superionic sees to that itself, and this is for plain ``rlaunch``.
        """
        from jobflow import SETTINGS

        real = SETTINGS.JOB_STORE
        launchpad = getattr(self, "launchpad", None)
        if isinstance(real, SpoolingJobStore) or launchpad is None:
            return super().run_task(fw_spec)
        launch_id = self._launch_id(launchpad)
        real.connect()
        SETTINGS.JOB_STORE = recorder = SpoolingJobStore(real, RetryPolicy(0.0))
        try:
            action = super().run_task(fw_spec)
        finally:
            SETTINGS.JOB_STORE = real
        if (
            launch_id is None
            or launch_id != self._launch_id(launchpad)
            or not send(recorder.take(), launch_id, real, lambda call: call())
        ):
            raise LateResultError(
                "The job was given to another process while this one ran it; its result is dropped."
            )
        return action

    def _launch_id(self, launchpad: Any) -> int | None:
        """Return the launch of the Firework that runs, if any."""
        firework = launchpad.fireworks.find_one({"fw_id": self.fw_id}, {"launches": 1}) or {}
        running = {"launch_id": {"$in": firework.get("launches", [])}, "state": "RUNNING"}
        launches = launchpad.launches.find(running, {"launch_id": 1})
        return max((launch["launch_id"] for launch in launches), default=None)


def _loaded(job: Any, material_id: str) -> Any:
    if not isinstance(job, dict):
        return job
    try:
        return MontyDecoder().process_decoded(job)
    except BaseException as error:  # what is loaded may even try to leave
        raise JobLoadError(
            f"The job cannot be loaded ({type(error).__name__}).",
            hint="Submit its material again, with the version that this worker has.",
            material_id=material_id,
        ) from error


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
    # A flow may go on from what an earlier one has left in the store.
    workflow = flow_to_workflow(flow, None, allow_external_references=True, **kwargs)
    store_results(workflow)
    return workflow
