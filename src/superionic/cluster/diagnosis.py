"""What ``superionic doctor`` says about database and launchpad."""

import os
from pathlib import Path

from superionic.cluster.retry import RetryPolicy
from superionic.cluster.site import launchpad_file, launchpad_in, open_launchpad, read_launchpad
from superionic.diagnosis import Finding
from superionic.errors import SuperionicError
from superionic.settings import SuperionicSettings, config_file
from superionic.store.database.jobflow_config import CONFIG_FILE_VARIABLE, jobflow_config_file
from superionic.store.database.programs import find_program
from superionic.store.database.server import server_status
from superionic.store.database.stores import (
    CONNECTION_TIMEOUT_S,
    check_connection,
    configured_database,
)


def diagnose_database(
    settings: SuperionicSettings, *, timeout_s: float = CONNECTION_TIMEOUT_S
) -> list[Finding]:
    """Say which database would be used and whether it answers; nothing is started or changed.

    Parameters
    ----------
    settings : SuperionicSettings
        The settings of this installation.
    timeout_s : float
        Time that a named database has to answer.

    Returns
    -------
    list of Finding
        The configuration files, then the database. Errors are findings, too.
    """
    return [*_configuration_files(), *_database(settings, timeout_s)]


def _configuration_files() -> list[Finding]:
    own = config_file()
    found = "is read" if own.is_file() else "is not there; defaults and environment are used"
    findings = [Finding(None, "superionic configuration", f"{own} {found}.")]
    try:
        path = jobflow_config_file()
    except SuperionicError as error:
        return [*findings, Finding(False, "jobflow configuration", error.message, error.hint)]
    named_by = f"named by {CONFIG_FILE_VARIABLE}" if CONFIG_FILE_VARIABLE in os.environ else "found"
    text = f"{path} ({named_by})." if path else "No ~/.jobflow.yaml, no JOBFLOW_CONFIG_FILE."
    return [*findings, Finding(None, "jobflow configuration", text)]


def _database(settings: SuperionicSettings, timeout_s: float) -> list[Finding]:
    try:
        spec = configured_database(settings)
        if spec is None:
            return [_local_server(settings)]
        chosen = Finding(None, "database", f"{spec.description}, from {spec.source}.")
    except SuperionicError as error:
        return [Finding(False, "database", error.message, error.hint)]
    try:
        check_connection(spec, timeout_s=timeout_s)
    except SuperionicError as error:
        return [chosen, Finding(False, "connection", error.message, error.hint)]
    return [chosen, Finding(True, "connection", f"{spec.description} answers.")]


def _local_server(settings: SuperionicSettings) -> Finding:
    """Report on the local server; raises what it cannot report on."""
    status = server_status(settings.data_dir)
    if status.server is None:
        program = find_program(status.data_dir)
        text = f"Local server in {status.data_dir}; a command that needs it starts {program.label}."
        return Finding(True, "database", text)
    server = f"Local server {status.server.engine} in {status.data_dir}, port {status.server.port}"
    if status.answers:
        return Finding(True, "database", f"{server}, answers.")
    hint = "Run 'superionic db stop --force'; the next command starts it again."
    return Finding(False, "database", f"{server}, does not answer.", hint)


_LONGEST_PING_S = 1800


def diagnose_launchpad(settings: SuperionicSettings) -> list[Finding]:
    """Say which launchpad would be used, and whether it answers and takes jobs.

    Parameters
    ----------
    settings : SuperionicSettings
        The settings of this installation.
    """
    try:
        path = launchpad_file(None)
        if path is None:
            spec = configured_database(settings)
            if spec is None:
                return [Finding(None, "launchpad", "None is configured; the local server is used.")]
            found = launchpad_in(spec)
        else:
            found = read_launchpad(path)
        findings = [Finding(None, "launchpad", f"{found.description}, from {found.source}.")]
        if found.ignored:
            text = f"{found.source} holds fields without effect: {', '.join(found.ignored)}."
            findings.append(Finding(None, "launchpad", text))
    except SuperionicError as error:
        return [Finding(False, "launchpad", error.message, error.hint)]
    try:
        launchpad = open_launchpad(found, RetryPolicy(0.0), writing=True, timeout_s=5.0)
        prepared = launchpad.is_prepared()
        launchpad.client.close()
    except SuperionicError as error:
        return [*findings, Finding(False, "launchpad connection", error.message, error.hint)]
    text = "It answers, and may be written" + ("." if prepared else "; it holds no jobs yet.")
    findings.append(Finding(True, "launchpad connection", text))
    return [*findings, *_secrets(path), *_pings()]


def _secrets(path: Path | None) -> list[Finding]:
    from superionic.store.database.jobflow_config import jobflow_config_file

    open_files = [
        file
        for file in (path, jobflow_config_file())
        if file is not None and file.stat().st_mode & 0o077 and b"password" in file.read_bytes()
    ]
    return [
        Finding(False, "secrets", f"Others may read {file}.", f"Run: chmod 600 {file}")
        for file in open_files
    ]


def _pings() -> list[Finding]:
    from fireworks.fw_config import PING_TIME_SECS, RUN_EXPIRATION_SECS

    if PING_TIME_SECS <= _LONGEST_PING_S:
        return []
    return [
        Finding(
            None,
            "FW_config.yaml",
            f"PING_TIME_SECS is {PING_TIME_SECS} s: with plain rlaunch, a dead worker is noticed "
            f"after {RUN_EXPIRATION_SECS} s.",
            "Let FW_CONFIG_FILE name the FW_config.yaml that 'superionic init' writes.",
        )
    ]
