"""Checks of notebook 03, in the order of its cells."""

from autograder.checks import ddim, ddpm, timesteps

AddNoise = ddpm.AddNoise
DDPMStep = ddpm.DDPMStep
DDIMTimesteps = timesteps.DDIMTimesteps
DDIMSigma = ddim.DDIMSigma
DDIMStep = ddim.DDIMStep
