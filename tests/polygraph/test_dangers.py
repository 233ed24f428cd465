"""polygraph/dangers.py: the table is whole, and a path is what it says."""

from __future__ import annotations

import pytest

from collector.kernel.sensitive import rules
from correlator.trust import is_known, is_near, trust
from polygraph.dangers import dangers, is_telling, place_of


def test_each_sensitive_rule_says_whose_it_is_and_there_are_no_others() -> None:
    assert dangers().credentials.keys() == set(rules().names)


def test_each_place_says_what_it_is_and_has_a_path() -> None:
    table = dangers()
    for places in (table.persistence, table.test_control, table.observer):
        for place in places.values():
            assert place.says and (place.ends or place.holds or place.under)
            assert all(part.startswith("/") and part.endswith("/") for part in (*place.holds, *place.under))
            assert all(end.startswith("/") for end in place.ends)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/u/.bashrc", "shell_startup"),
        ("/home/u/x.bashrc", None),
        ("/etc/cron.d/x", "cron"),
        ("/srv/etc/cron.d/x", None),
        ("/w/.git/hooks/pre-push", "git_hook"),
        ("/w/.git/hooks/pre-push.sample", None),
        ("/w/.git/hooks", None),
        ("/home/u/.config/systemd/user/x.service", "systemd_unit"),
    ],
)
def test_a_place_is_told_by_its_end_its_folders_or_its_beginning(path: str, name: str | None) -> None:
    found = place_of(path, dangers().persistence)
    assert (found[0] if found is not None else None) == name


@pytest.mark.parametrize(
    ("path", "telling"),
    [
        ("/w/src/a.py", False),
        ("/w/.git/index", False),
        ("/w/.git/hooks/pre-push", True),
        ("/w/conftest.py", True),
        ("/w/.envrc", True),
        ("/home/u/x.txt", True),
        ("/home/u/.cache/x", False),
        ("/tmp/x", False),
        ("/home/u/.local/state/polygraph/key", True),
        ("/var/spool/cron/crontabs/u", True),
        ("/wide/x", True),
    ],
)
def test_few_writes_are_worth_a_look(path: str, telling: bool) -> None:
    assert is_telling(path, "/w") is telling


def test_known_hosts_are_names_and_what_is_below_them() -> None:
    assert all(host == host.lower() and "." in host and "/" not in host for host in trust().known_hosts)
    assert is_known("registry.npmjs.org") and is_known("static.crates.io")
    assert not is_known("evil-npmjs.org") and not is_known("org")


@pytest.mark.parametrize(
    ("address", "here", "near"),
    [
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.2", True, True),
        ("169.254.169.254", True, True),
        ("10.0.0.1", False, True),
        ("fd00::1", False, True),
        ("203.0.113.9", False, False),
        ("2001:db8::1", False, False),
        ("no address", False, False),
    ],
)
def test_addresses_that_are_near(address: str, here: bool, near: bool) -> None:
    assert (is_near(address, private=False), is_near(address, private=True)) == (here, near)
