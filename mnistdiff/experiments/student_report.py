"""Numbers of the student report ("Report For Project3", November 2025) that we compare with."""

VAE_SETTINGS = {
    "epochs": 40,
    "batch_size": 128,
    "learning_rate": 2e-4,
    "latent_dim": 100,
    "beta": 1.0,
    "loss_type": "mse",
}

# Table 2: latent dim 100, 40 epochs; samples and reconstructions were judged by eye.
BETA_SWEEP = {
    0.001: {
        "total": 0.83,
        "recon": 0.53,
        "kl": 298.14,
        "samples": "poor, unrecognisable",
        "reconstructions": "good",
    },
    0.01: {
        "total": 2.33,
        "recon": 1.03,
        "kl": 130.01,
        "samples": "poor, unrecognisable",
        "reconstructions": "good",
    },
    0.1: {
        "total": 7.95,
        "recon": 3.48,
        "kl": 44.76,
        "samples": "fair, few recognisable",
        "reconstructions": "good",
    },
    1.0: {
        "total": 26.41,
        "recon": 13.29,
        "kl": 13.12,
        "samples": "good, mostly recognisable",
        "reconstructions": "fair, slight ghosting",
    },
    5.0: {
        "total": 51.63,
        "recon": 38.29,
        "kl": 2.67,
        "samples": "fair, ghosting",
        "reconstructions": "poor, ghosting",
    },
    10.0: {
        "total": 57.65,
        "recon": 55.17,
        "kl": 0.25,
        "samples": "poor, unrecognisable",
        "reconstructions": "poor, unrecognisable",
    },
}

# Table 3: beta 1, 40 epochs.
LATENT_SWEEP = {
    2: {"total": 36.64, "recon": 31.43, "kl": 5.21},
    50: {"total": 26.33, "recon": 13.15, "kl": 13.18},
    100: {"total": 26.41, "recon": 13.29, "kl": 13.12},
    500: {"total": 26.90, "recon": 13.96, "kl": 12.94},
}

# Figure 2: total loss at beta 1, latent dim 100.
EPOCHS_40_TOTAL, EPOCHS_200_TOTAL = 26.41, 24.46

# Table 4: DDPM and DDIM in pixel space.
PIXEL_SETTINGS = {
    "batch_size": 128,
    "epochs": 60,
    "learning_rate": 1e-4,
    "timesteps": 1000,
    "ddim_steps": 200,
    "ddim_eta": 0.0,
}

# Table 5: text to image.
TEXT_SETTINGS = {
    "embed_dim": 128,
    "epochs": 70,
    "learning_rate": 5e-5,
    "timesteps": 1000,
    "ddim_steps": 50,
    "ddim_eta": 0.0,
}

# Figure 7: "nearly 60 %" by eye, probably of one grid of 80 images; the digits that fail most.
TEXT_SHARE, TEXT_OF, TEXT_WORST = 0.60, 80, (5, 8, 9)
