"""The files that 'superionic init' writes."""

import os
import stat
from pathlib import Path

import pytest
import yaml
from cluster_site import DATABASE, PASSWORD, USER, Site

from superionic.cluster.retry import RetryPolicy
from superionic.cluster.site import read_launchpad
from superionic.cluster.site_files import (
    EXAMPLE,
    EXAMPLE_PASSWORD,
    SiteOptions,
    read_password,
    site_files,
    write_site,
)
from superionic.errors import SettingsError

TEMPLATES = Path(__file__).parents[2] / "launchpad_templates"


def test_the_templates_are_what_init_writes_for_the_example():
    files = {file.name: file.text for file in site_files(EXAMPLE, EXAMPLE_PASSWORD)}
    assert {path.name: path.read_text() for path in TEMPLATES.iterdir()} == files


def test_only_files_of_mode_600_hold_the_password(tmp_path):
    old = os.umask(0)
    try:
        files = site_files(SiteOptions(), PASSWORD)
        paths = write_site(files, tmp_path / "site")
    finally:
        os.umask(old)
    for path in paths:
        holds = PASSWORD in path.read_text()
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o600 if holds else 0o644), path
    assert {p.name for p in paths if PASSWORD in p.read_text()} == {
        "my_launchpad.yaml",
        "jobflow.yaml",
    }
    assert PASSWORD not in repr(files)
    with pytest.raises(SettingsError, match="already"):
        write_site(files, tmp_path / "site")


def test_fireworks_and_jobflow_read_the_files(tmp_path):
    from fireworks import fw_config
    from fireworks.core.fworker import FWorker
    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
    from jobflow.settings import JobflowSettings

    folder = tmp_path / "site"
    write_site(site_files(SiteOptions(directory=str(folder)), PASSWORD), folder)
    config = yaml.safe_load((folder / "FW_config.yaml").read_text())
    assert all(hasattr(fw_config, name) for name in config)
    for kind, name in (("cpu", ""), ("gpu", "_gpu"), ("dft", "_dft")):
        worker = FWorker.from_file(str(folder / f"my_fworker{name}.yaml"))
        assert worker.query["spec._category"] == kind
    store = JobflowSettings(CONFIG_FILE=str(folder / "jobflow.yaml")).JOB_STORE
    assert store.docs_store.database == "superionic"
    assert store.additional_stores["data"].password == PASSWORD
    for name in ("my_qadapter.yaml", "my_qadapter_gpu.yaml"):
        adapter = CommonAdapter.from_file(str(folder / name))
        script = adapter.get_script_str(str(tmp_path))
        assert "#SBATCH --signal=TERM@30" in script
        assert "superionic worker" in script
        assert "$${" not in script


def test_a_password_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="Others may read") as caught:
        read_password(path)
    assert PASSWORD not in str(caught.value)
    path.chmod(0o600)
    assert read_password(path) == PASSWORD


TEMPLATE = {
    "host": "127.0.0.1",
    "port": 27999,
    "name": "fireworks_test",
    **dict.fromkeys(["username", "password", "logdir"]),
    "user_indices": [],
    "wf_user_indices": [],
    "authsource": "admin",
}


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"Istrm_lvl": "DEBUG"}, ("Istrm_lvl",)),  # the misspelling of many templates
        ({"ssl_ca_file": None, "Istrm_lvl": "DEBUG"}, ("Istrm_lvl", "ssl_ca_file")),
        ({"ssl": False, "retry": True, 7: "seven"}, ("7", "retry", "ssl")),
        ({"port": "27999", "username": "", "password": ""}, ()),
        ({"strm_lvl": "INFO"}, ()),
    ],
)
def test_launchpad_files_that_lpad_takes_are_taken(tmp_path, fields, ignored):
    path = tmp_path / "my_launchpad.yaml"
    path.write_text(yaml.safe_dump(TEMPLATE | fields))
    spec = read_launchpad(path)
    assert spec.description == "127.0.0.1:27999/fireworks_test"
    assert spec.ignored == ignored
    launchpad = spec.open(RetryPolicy(0))
    assert launchpad.db.name == "fireworks_test"
    launchpad.client.close()
    path.write_text(yaml.safe_dump({"host": "h"}))
    assert read_launchpad(path).description == "h:27017/fireworks"
    uri = f"mongodb://{USER}:{PASSWORD}@h:27999/x?authSource=admin"
    path.write_text(yaml.safe_dump({"host": uri, "uri_mode": True, "name": "x"} | fields))
    assert read_launchpad(path).description == "h:27999/x"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEMPLATE | {"ssl_ca_file": "k3ep"}, "encryption that FireWorks passes over: ssl_ca_file"),
        (TEMPLATE | {"tls": True}, "encryption that FireWorks passes over: tls"),
        (TEMPLATE | {"port": "k3ep"}, "is no number"),
        ({"uri": "k3ep"}, "names no host"),
        ("k3ep", "names no host"),
    ],
)
def test_launchpad_files_that_would_mislead_are_refused(tmp_path, content, said):
    path = tmp_path / "my_launchpad.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=said) as caught:
        read_launchpad(path)
    assert "k3ep" not in str(caught.value)


@pytest.mark.process
def test_init_and_doctor_against_a_server(server, tmp_path, database_name):
    site = Site(server, tmp_path / "site", database_name)
    folder = tmp_path / "files"
    options = ("--host", server.host, "--port", str(server.port), "--user", USER, "--no-tls")
    secret = {"SUPERIONIC_MONGO_PASSWORD": PASSWORD}
    names = ("--database", database_name)
    missing = site.run("init", str(folder), *options, *names)
    assert missing.returncode == 1
    assert "password of the database is not given" in missing.stderr
    assert not folder.exists()
    done = site.run("init", str(folder), *options, *names, env=secret)
    assert done.returncode == 0, done.stderr
    environment = {
        "FW_CONFIG_FILE": str(folder / "FW_config.yaml"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    doctor = ("doctor", "-p", "ase:cluster_toy.Toy")
    good = site.run(*doctor, env=environment)
    assert "BAD" not in good.stdout, good.stdout
    assert (
        f"{server.host}:{server.port}/{database_name}, from {folder}/my_launchpad.yaml"
        in good.stdout
    )
    assert "answers, and may be written" in good.stdout
    assert DATABASE in good.stdout
    site.run(
        "init",
        str(folder),
        *options,
        "--force",
        *names,
        env={"SUPERIONIC_MONGO_PASSWORD": "wr0ng-password"},
    )
    bad = site.run(*doctor, env=environment)
    assert bad.returncode == 1
    assert "BAD  launchpad connection" in bad.stdout
    for text in (missing, done, good, bad):
        for word in (PASSWORD, "wr0ng-password"):
            assert word not in text.stdout + text.stderr
