"""All claims hold, for the smallest size of each. `kronborg bench proofs --all-sizes` proves the others."""

import pytest

from kronborg_hdl.synthesis.cores import CORES
from kronborg_sim.proofs.claims import ASSEMBLIES, CLAIMS, LISTENERS, OFFERS, Claim
from kronborg_sim.proofs.engine import Outcome


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.core}-{claim.title}".replace(" ", "_"))
@pytest.mark.filterwarnings("ignore:.*created but never used")
def test_holds_in_every_run(claim: Claim) -> None:
    verdict = claim.prove(claim.sizes[0], depth=8, search_seconds=1)
    assert verdict.outcome is Outcome.PROVEN, f"{claim.core} {claim.title}: {verdict}"


def test_every_core_is_claimed_to_keep_its_offers() -> None:
    assert set(CORES) - {*LISTENERS, *ASSEMBLIES} <= {claim.core for claim in CLAIMS if claim.title == OFFERS}
