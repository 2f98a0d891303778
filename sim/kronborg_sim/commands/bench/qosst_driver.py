"""Receive recordings with QOSST's own receiver: run by the interpreter of an environment that has ``qosst``.

    python qosst_driver.py REQUEST.json

The request names a recording (``samples``, .npy), where symbols go (``symbols``, .npy), and under ``parameters`` the
arguments of the receiver. What it answers, in JSON on standard output: ``cpu_seconds``, and ``error`` if it gave up.
It imports nothing of Kronborg, and Kronborg nothing of it.
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
    parameters = dict(request["parameters"])
    parameters["pilots_frequencies"] = np.array(parameters["pilots_frequencies"])
    began, error = time.process_time(), ""
    try:
        frames, _, _ = dsp_bob_params(samples, **parameters)
        if frames is None or not len(frames):
            error = "no frame found"
        else:
            np.save(request["symbols"], np.concatenate([np.asarray(frame).ravel() for frame in frames]))
    except Exception as failure:  # whatever it says is the outcome of the comparison
        error = f"{type(failure).__name__}: {failure}"
    print(json.dumps({"cpu_seconds": time.process_time() - began, "error": error}))


if __name__ == "__main__":
    main()
