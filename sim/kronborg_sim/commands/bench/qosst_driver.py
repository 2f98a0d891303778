"""Receive a recording with QOSST's own receiver: run by the interpreter of an environment that has ``qosst``.

    python qosst_driver.py REQUEST.json

The request names a recording (``samples``, .npy) and a list of what is ``wanted`` of it: where symbols go
(``symbols``, .npy), and under ``parameters`` the arguments of the receiver. What it answers, in JSON on standard
output, is a list in the same order: ``cpu_seconds``, ``lengths`` of the pieces whose symbols follow each other in the
file, and ``error`` if it gave up. It imports nothing of Kronborg, and Kronborg nothing of it.
"""

import json
import logging
import sys
import time
from pathlib import Path


def main() -> None:
    """Carry one request out."""
    import numpy as np
    from qosst_bob.dsp.dsp import dsp_bob_params

    logging.disable(logging.CRITICAL)
    request = json.loads(Path(sys.argv[1]).read_text())
    samples = np.load(request["samples"])
    answers = []
    for wanted in request["wanted"]:
        parameters = dict(wanted["parameters"])
        parameters["pilots_frequencies"] = np.array(parameters["pilots_frequencies"])
        began, error, lengths = time.process_time(), "", []
        try:
            pieces, _, _ = dsp_bob_params(samples, **parameters)
            if pieces is None or not len(pieces):
                error = "no frame found"
            else:
                pieces = [np.asarray(piece).ravel() for piece in pieces]
                lengths = [len(piece) for piece in pieces]
                np.save(wanted["symbols"], np.concatenate(pieces))
        except Exception as failure:  # whatever it says is the outcome of the comparison
            error = f"{type(failure).__name__}: {failure}"
        answers.append({"cpu_seconds": time.process_time() - began, "lengths": lengths, "error": error})
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
