"""``python -m bench``: what `./nexus bench` runs."""

from __future__ import annotations

import click

from bench import nexus

__all__ = ["main"]


@click.command()
@click.option("--peers", is_flag=True, help="Compare with other gateways, from the npm registry.")
@click.option("--seconds", default=5.0, show_default=True, help="How long each figure is measured.")
@click.option("--concurrency", default=32, show_default=True, help="Requests in flight.")
@click.option("--rounds", default=3, show_default=True, help="How often, beside other gateways.")
@click.option("--users", default=200, show_default=True, help="How many different callers.")
def main(*, peers: bool, seconds: float, concurrency: int, rounds: int, users: int) -> None:
    """Measure, and write JSON and a table into bench/results."""
    if peers:
        from bench.peers import run as comparison

        path = comparison.run(seconds=seconds, concurrency=concurrency, rounds=rounds)
    else:
        path = nexus.run(seconds=seconds, concurrency=concurrency, users=users)
    click.echo(f"\n{path.read_text(encoding='utf-8')}\nwritten to {path}")


if __name__ == "__main__":
    main()
