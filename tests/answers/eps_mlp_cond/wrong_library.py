# points: 0 | hint: mnistdiff.latent.EpsMLPCond.__init__ is sealed
from mnistdiff.latent import EpsMLPCond
