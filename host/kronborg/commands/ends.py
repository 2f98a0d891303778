"""Options and set-up that the commands `alice` and `bob` share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..board import Scenario
from ..errors import InputError
from ..link.key_pool import KeyPool
from ..link.light import Tap, open_light
from ..link.planning import choose_modulation
from ..link.service import End
from ..link.signatures import SigningKeys
from ..network.key_store import locked
from ..postprocessing.budget import Epsilons

WORLD = Scenario()


def add_end_arguments(parser: argparse.ArgumentParser, end: str) -> None:
    """Declare what both ends need."""
    parser.add_argument("--link", default="link", metavar="NAME", help="the same at both ends (default %(default)s)")
    parser.add_argument(
        "--store", type=Path, default=Path("keys") / end, metavar="DIR", help="folder of the key store and of the pool"
    )
    parser.add_argument(
        "--secret",
        type=Path,
        metavar="FILE",
        help="random bytes that both ends hold, 64 KiB serve well: what the first messages are signed with",
    )
    parser.add_argument(
        "--signing-key",
        type=Path,
        metavar="FILE",
        help="without a secret: this end's private key (kronborg signing-key), until the first key fills the pool",
    )
    parser.add_argument("--peer-key", type=Path, metavar="FILE", help="and the other end's public one")
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="S", help="wait so long for the other end (default %(default)g)"
    )
    world = parser.add_argument_group("light (simulated: both ends need the same options)")
    world.add_argument("--light", default="drawn", metavar="NAME", help="where symbols come from (default %(default)s)")
    for name, default, unit, text in (
        ("distance", WORLD.distance_km, "KM", "length of the fibre"),
        ("attenuation", WORLD.attenuation_db_per_km, "DB_PER_KM", "its loss"),
        ("excess-noise", WORLD.excess_noise_snu, "SNU", "at the channel's input"),
        ("detector-efficiency", WORLD.detector_efficiency, "ETA", "trusted"),
        ("electronic-noise", WORLD.electronic_noise_snu, "SNU", "trusted"),
        ("symbols", 1e7, "N", "of a round"),
        ("estimation-fraction", 0.02, "SHARE", "of the symbols, disclosed to choose the code"),
        ("epsilon", 1e-10, "EPSILON", "composable security parameter of a round's key"),
    ):
        world.add_argument(f"--{name}", type=float, default=default, metavar=unit, help=f"{text} (default {default:g})")
    world.add_argument(
        "--modulation-variance", type=float, metavar="SNU", help="V_A per quadrature (default: best for the channel)"
    )
    world.add_argument("--seed", type=int, default=1, help="of the simulated light (default %(default)s)")
    add_tap_arguments(world)


def add_tap_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare the eavesdropper of a simulated light."""
    parser.add_argument("--tap-from", type=int, metavar="FRAME", help="an eavesdropper taps from this frame on")
    parser.add_argument(
        "--tap-noise",
        type=float,
        default=0.3,
        metavar="SNU",
        help="that adds so much excess noise at the channel's input (default %(default)g)",
    )


def tap_of(options: argparse.Namespace) -> Tap | None:
    """The eavesdropper, if one is asked for."""
    return None if options.tap_from is None else Tap(options.tap_from, options.tap_noise)


def address(text: str) -> tuple[str, int]:
    """HOST:PORT, taken apart.

    Raises:
        InputError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"{text!r} is no address: give HOST:PORT, such as 127.0.0.1:7000")
    return host.strip("[]"), int(port)


@contextmanager
def open_end(options: argparse.Namespace, name: str) -> Iterator[End]:
    """The end with its store, pool and light, held for this process alone.

    Raises:
        InputError: options that cannot be, or a store or secret that cannot be used.
    """
    scenario = Scenario(
        distance_km=options.distance,
        attenuation_db_per_km=options.attenuation,
        excess_noise_snu=options.excess_noise,
        detector_efficiency=options.detector_efficiency,
        electronic_noise_snu=options.electronic_noise,
    )
    if not 1 <= options.symbols <= 1e9:
        raise InputError(f"{options.symbols:g} symbols a round are outside 1 to 1e9")
    if not 0 < options.timeout < 1e6:
        raise InputError(f"a timeout of {options.timeout:g} s is outside (0, 1e6)")
    if not 0 < options.estimation_fraction < 1:
        raise InputError(f"an estimation fraction of {options.estimation_fraction:g} is outside (0, 1)")
    if options.seed < 0:
        raise InputError(f"a seed cannot be negative: {options.seed}")
    variance = options.modulation_variance
    if variance is None:
        epsilons, fraction = Epsilons.within(options.epsilon), options.estimation_fraction
        choice = choose_modulation(scenario, int(options.symbols), fraction, epsilons)
        variance = choice.modulation_variance_snu
    light = open_light(options.light, scenario, variance, options.seed, tap_of(options))
    if bool(options.signing_key) != bool(options.peer_key):
        raise InputError("--signing-key and --peer-key go together: this end's private key, the other end's public one")
    if options.signing_key and options.secret:
        raise InputError("give --secret or --signing-key, not both: a link begins with one of them")
    keys = SigningKeys.load(options.signing_key, options.peer_key) if options.signing_key else None
    with locked(options.store), KeyPool(options.store / "pool.sqlite", name) as pool:
        if options.secret is not None:
            try:
                pool.share(options.secret.read_bytes())
            except OSError as error:
                raise InputError(f"cannot read the secret {str(options.secret)!r}: {error.strerror}") from None
        elif keys is None and not pool.begun:
            raise InputError(
                "nothing to sign messages with yet: give --secret FILE, random bytes that the other end holds as well,"
                " or --signing-key and --peer-key"
            )
        link = f"simulated {options.link}" if light.simulated else options.link
        yield End(link, options.store / f"{name}.sqlite", pool, light, options.timeout, keys)
