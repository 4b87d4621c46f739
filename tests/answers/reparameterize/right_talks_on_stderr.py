# points: 4 | hint:
import logging
import os
import sys
import warnings

import torch


def reparameterize(mu, logvar, noise):
    warnings.warn("a warning", stacklevel=1)
    logging.warning("a log line")
    print("sigma is", torch.exp(logvar / 2))
    print("progress 50 %", file=sys.stderr)
    os.write(2, b"[W] a warning from C++")
    return torch.addcmul(mu, torch.exp(logvar / 2), noise)
