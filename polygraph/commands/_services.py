"""What the commands share that run as services or speak with the broker."""

from __future__ import annotations

from pathlib import Path

import click

#: the one file of settings
config_option = click.option(
    "--config",
    metavar="FILE.toml",
    envvar="POLYGRAPH_CONFIG",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings (docs/settings.md); the environment's are put over them. POLYGRAPH_CONFIG without the option.",
)
