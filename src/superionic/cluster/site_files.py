"""The configuration files of a site: for FireWorks, jobflow, SLURM and MongoDB.

The files in ``launchpad_templates`` are what :func:`site_files` makes of :data:`EXAMPLE`.
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from superionic.errors import SettingsError
from superionic.files import whole_file
from superionic.store.database.addresses import is_address, is_loopback

PASSWORD_VARIABLE = "SUPERIONIC_MONGO_PASSWORD"
_SECRET_MODE = 0o600
_PLAIN_MODE = 0o644


@dataclass(frozen=True)
class SiteOptions:
    """What a site's files depend on.

    Parameters
    ----------
    host, port : str, int
        The MongoDB server.
    user, auth_source : str
        Who uses it, and the database that knows the user.
    database : str
        Database of results and jobs.
    tls : bool
        Whether the server is reached by TLS; then that of ``compose.yaml`` takes nothing else.
    tls_ca_file : str
        File of the authority that signed the server's certificate; empty for the system's.
    python_prefix : str
        Command that makes superionic known to a batch job.
    directory : str
        Where the files will be.
    partition_cpu, partition_gpu, account : str
        SLURM partitions and account; empty lines are left out.
    walltime : str
        Wall time of a batch job.
    cores : int
        Cores of a CPU batch job.
    """

    host: str = "mongo.example.org"
    port: int = 27017
    user: str = "superionic"
    auth_source: str = "admin"
    database: str = "superionic"
    tls: bool = True
    tls_ca_file: str = ""
    python_prefix: str = "source ~/superionic/.venv/bin/activate"
    directory: str = "~/superionic-site"
    partition_cpu: str = "cpu"
    partition_gpu: str = "gpu"
    account: str = ""
    walltime: str = "24:00:00"
    cores: int = 32


EXAMPLE = SiteOptions()
EXAMPLE_PASSWORD = "CHANGE-ME"


@dataclass(frozen=True)
class SiteFile:
    """A file of a site.

    Parameters
    ----------
    name : str
        Its name.
    text : str
        Its content.
    secret : bool
        Whether it holds a password, so that only its owner may read it.
    """

    name: str
    text: str
    secret: bool = False

    def __repr__(self) -> str:
        return f"SiteFile({self.name!r})"


def site_files(options: SiteOptions, password: str) -> list[SiteFile]:
    """Return the files of a site.

    Parameters
    ----------
    options : SiteOptions
        What they depend on.
    password : str
        Of the database user; it is in files that are marked as secret only.
    """
    return [
        _yaml("my_launchpad.yaml", _LAUNCHPAD_HEAD, _launchpad(options, password), secret=True),
        _yaml("jobflow.yaml", _JOBFLOW_HEAD, _jobflow(options, password), secret=True),
        _yaml("FW_config.yaml", _CONFIG_HEAD, _fw_config(options)),
        _yaml("my_fworker.yaml", _WORKER_HEAD, _fworker("cpu", options)),
        _yaml("my_fworker_gpu.yaml", _WORKER_HEAD, _fworker("gpu", options)),
        _yaml("my_fworker_dft.yaml", _WORKER_HEAD, _fworker("dft", options)),
        _yaml("my_qadapter.yaml", _QUEUE_HEAD, _qadapter("cpu", options)),
        _yaml("my_qadapter_gpu.yaml", _QUEUE_HEAD, _qadapter("gpu", options)),
        _yaml("compose.yaml", _compose_head(options), _compose(options)),
        SiteFile("environment.sh", _environment(options)),
    ]


def local_files(options: SiteOptions, data_dir: Path) -> list[SiteFile]:
    """Return the files with which FireWorks' own commands use the local server.

    Parameters
    ----------
    options : SiteOptions
        Port of the local server, directory of the files and name of the database.
    data_dir : Path
        Directory of the server.
    """
    config = {k: v for k, v in _fw_config(options).items() if k != "QUEUEADAPTER_LOC"}
    start = f"superionic db start --data-dir {shlex.quote(str(data_dir))}\n"
    return [
        _yaml("my_launchpad.yaml", _LOCAL_HEAD, _launchpad(options, "")),
        _yaml("jobflow.yaml", _LOCAL_HEAD, _jobflow(options, "")),
        _yaml("FW_config.yaml", _CONFIG_HEAD, config),
        SiteFile("my_fworker.yaml", "name: this machine\ncategory: ''\nquery: '{}'\n"),
        SiteFile("environment.sh", _environment(options) + start),
    ]


def write_site(files: list[SiteFile], directory: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the files of a site; secret ones are readable by their owner only, at every moment.

    Raises
    ------
    SettingsError
        When a file is there already and may not be overwritten, or the directory cannot be made.
    UnwritableFileError
        When the disk does not take one.
    """
    present = [file.name for file in files if (directory / file.name).exists()]
    if present and not overwrite:
        raise SettingsError(
            f"{directory} holds {', '.join(present)} already.",
            hint="Name another directory, or add --force to overwrite them.",
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be made: {error.strerror}.", hint="Name another directory."
        ) from None
    for file in files:
        with whole_file(directory / file.name) as fresh:
            fresh.touch(mode=_SECRET_MODE)
            fresh.write_text(file.text)
            fresh.chmod(_SECRET_MODE if file.secret else _PLAIN_MODE)
    return [directory / file.name for file in files]


def read_password(password_file: Path | None) -> str | None:
    """Return the password from a file of mode 600, or from the environment; None if neither is.

    Raises
    ------
    SettingsError
        When the file cannot be read, or others may read it.
    """
    if password_file is None:
        return os.environ.get(PASSWORD_VARIABLE)
    try:
        if password_file.stat().st_mode & 0o077:
            raise SettingsError(
                f"Others may read the password file {password_file}.",
                hint=f"Run: chmod 600 {password_file}",
            )
        return password_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The password file {password_file} cannot be read ({type(error).__name__}).",
            hint="Check the path.",
        ) from None


def _yaml(name: str, head: str, content: dict[str, Any], *, secret: bool = False) -> SiteFile:
    body = yaml.safe_dump(content, sort_keys=False, default_flow_style=False)
    return SiteFile(name, head + body, secret)


def _client(options: SiteOptions) -> dict[str, Any]:
    if not options.tls:
        # What the local server wants.
        return {} if options.user else {"directConnection": True}
    ca_file = {"tlsCAFile": options.tls_ca_file} if options.tls_ca_file else {}
    return {"tls": True, **ca_file}


def _launchpad(options: SiteOptions, password: str) -> dict[str, Any]:
    return {
        "host": options.host,
        "port": options.port,
        "name": options.database,
        "username": options.user or None,
        "password": password or None,
        "authsource": options.auth_source,
        "mongoclient_kwargs": _client(options),
        "strm_lvl": "WARNING",
    }


def _jobflow(options: SiteOptions, password: str) -> dict[str, Any]:
    server = {
        "host": options.host,
        "port": options.port,
        "username": options.user,
        "password": password,
        "auth_source": options.auth_source,
        "database": options.database,
        "mongoclient_kwargs": _client(options),
    }
    return {
        "JOB_STORE": {
            "docs_store": {"type": "MongoStore", **server, "collection_name": "outputs"},
            "additional_stores": {
                "data": {"type": "GridFSStore", **server, "collection_name": "outputs_blobs"}
            },
        }
    }


def _fw_config(options: SiteOptions) -> dict[str, Any]:
    return {
        "CONFIG_FILE_DIR": options.directory,
        "LAUNCHPAD_LOC": f"{options.directory}/my_launchpad.yaml",
        "FWORKER_LOC": f"{options.directory}/my_fworker.yaml",
        "QUEUEADAPTER_LOC": f"{options.directory}/my_qadapter.yaml",
        "PING_TIME_SECS": 300,
        "RUN_EXPIRATION_SECS": 1200,
        "RESERVATION_EXPIRATION_SECS": 1_209_600,
        "RAPIDFIRE_SLEEP_SECS": 20,
        "WFLOCK_EXPIRATION_SECS": 60,
        "SORT_FWS": "FIFO",
        "MONGO_SOCKET_TIMEOUT_MS": 60_000,
    }


def _fworker(category: str, options: SiteOptions) -> dict[str, Any]:
    return {"name": f"{category} worker", "category": category, "query": "{}", "env": {}}


def _qadapter(kind: str, options: SiteOptions) -> dict[str, Any]:
    gpu = kind == "gpu"
    suffix = "_gpu" if gpu else ""
    processes = 1 if gpu else options.cores
    adapter = {
        "_fw_name": "CommonAdapter",
        "_fw_q_type": "SLURM",
        # SLURM sends SIGTERM when the time is up; jobs that do not finish are handed back.
        "rocket_launch": f"superionic worker --processes {processes} --grace 25 "
        f"--launchpad {options.directory}/my_launchpad.yaml "
        f"--fworker {options.directory}/my_fworker{suffix}.yaml",
        "nodes": 1,
        "ntasks": 1,
        "cpus_per_task": 8 if gpu else options.cores,
        "walltime": options.walltime,
        "queue": options.partition_gpu if gpu else options.partition_cpu,
        "account": options.account or None,
        "job_name": f"superionic-{kind}",
        "signal": "TERM@30",
        "logdir": f"{options.directory}/logs",
        "pre_rocket": f"{options.python_prefix}\nsource {options.directory}/environment.sh",
        "post_rocket": None,
    }
    if gpu:
        adapter["gres"] = "gpu:1"
    return adapter


def _compose(options: SiteOptions) -> dict[str, Any]:
    command = ["mongod", "--auth", "--bind_ip_all", "--wiredTigerCacheSizeGB", "2"]
    secrets = {"root_password": {"file": "./root_password"}}
    if options.tls:
        command += ["--tlsMode", "requireTLS", "--tlsAllowConnectionsWithoutCertificates"]
        command += ["--tlsCertificateKeyFile", "/run/secrets/server_pem"]
        command += ["--tlsCAFile", "/run/secrets/ca_pem"]
        secrets |= {"server_pem": {"file": "./server.pem"}, "ca_pem": {"file": "./ca.pem"}}
    # It listens where the other files look for it.
    address = f"127.0.0.1:{options.port}" if is_loopback(options.host) else str(options.port)
    return {
        "services": {
            "mongo": {
                "image": "mongo:7",
                "restart": "unless-stopped",
                "command": command,
                "environment": {
                    "MONGO_INITDB_ROOT_USERNAME": "root",
                    "MONGO_INITDB_ROOT_PASSWORD_FILE": "/run/secrets/root_password",
                },
                "secrets": list(secrets),
                "ports": [f"{address}:27017"],
                "volumes": ["mongo-data:/data/db"],
            }
        },
        "secrets": secrets,
        "volumes": {"mongo-data": {}},
    }


def _environment(options: SiteOptions) -> str:
    return (
        "# source this file before superionic, lpad, rlaunch or qlaunch\n"
        f"export FW_CONFIG_FILE={options.directory}/FW_config.yaml\n"
        f"export JOBFLOW_CONFIG_FILE={options.directory}/jobflow.yaml\n"
    )


_LAUNCHPAD_HEAD = """\
# FireWorks' launchpad: where the jobs are. Holds a password: keep its mode at 600.
"""
_JOBFLOW_HEAD = """\
# jobflow's job store: where the results are. Holds a password: keep its mode at 600.
"""
_CONFIG_HEAD = """\
# FireWorks' settings. A job that has been silent for RUN_EXPIRATION_SECS is lost: FireWorks'
# default is four hours, with a sign of life every hour ('superionic worker' has its own: --ping).
"""
_WORKER_HEAD = """\
# Which jobs a worker takes. A campaign file gives jobs their categories.
"""
_QUEUE_HEAD = """\
# SLURM batch jobs for qlaunch, each of which runs 'superionic worker'.
"""
_LOCAL_HEAD = """\
# The local server of this machine: no password, reached from here only. 'superionic db start'
# starts it on this port; if another program took that, 'superionic init --local --force' helps.
"""
_COMPOSE_HEAD = """\
# A MongoDB server that wants a password: docker compose up -d
# Before: write the administrator's password into ./root_password (mode 600).{tls}
# After, once:
#   docker compose exec mongo {shell} -u root admin --eval \\
#     'db.createUser({{user: "{user}", pwd: passwordPrompt(), roles: [
#        {{role: "readWrite", db: "{database}"}}]}})'
# And one who only looks (superionic serve, query, report):
#   docker compose exec mongo {shell} -u root admin --eval \\
#     'db.createUser({{user: "{user}_reader", pwd: passwordPrompt(), roles: [
#        {{role: "read", db: "{database}"}}]}})'
"""
_COMPOSE_TLS = """
# It takes TLS only. ./server.pem holds its certificate and key (readable by user 999, who runs it),
# ./ca.pem the certificate of who signed it. One that signs itself is made by
#   openssl req -x509 -newkey rsa:4096 -nodes -days 825 -subj /CN={host} \\
#     -addext subjectAltName={name} -keyout key.pem -out ca.pem
#   cat ca.pem key.pem > server.pem
# and is known to the other files by 'superionic init --tls-ca-file' with ca.pem's path."""


def _compose_head(options: SiteOptions) -> str:
    shell, tls = "mongosh", ""
    if options.tls:
        shell += " --tls --tlsCAFile /run/secrets/ca_pem --tlsAllowInvalidHostnames"
        kind = "IP" if is_address(options.host) else "DNS"
        tls = _COMPOSE_TLS.format(host=options.host, name=f"{kind}:{options.host}")
    elif not is_loopback(options.host):
        tls = "\n# It can be reached from other machines, and nothing that they send is encrypted."
    return _COMPOSE_HEAD.format(tls=tls, shell=shell, user=options.user, database=options.database)
