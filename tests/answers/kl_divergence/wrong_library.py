# points: 0 | hint: is sealed while this cell is checked
from mnistdiff.vae import kl_divergence
