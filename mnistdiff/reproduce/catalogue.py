"""The catalogue: each experiment, the table or figure it stands for, and its units.

A unit is one configuration with one training seed. Units with the same training find each other's
weights in the cache (`fit_or_load`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import product
from typing import Any

from mnistdiff.diffusion import SHIPPED_LATENT, latent_name
from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation import CURVE
from mnistdiff.evaluation.ladder import LADDER, LATENT_DIM
from mnistdiff.experiments import BETAS, LATENT_DIMS, PROFILES, Profile, pixel_training
from mnistdiff.experiments.student_report import PIXEL_SETTINGS, TEXT_SETTINGS, VAE_SETTINGS
from mnistdiff.experiments.text_to_image import TINY_SD_VAE
from mnistdiff.guidance import EVERYWHERE
from mnistdiff.pipeline import GUIDANCE_SCALE, GUIDANCE_SPAN, NUM_INFERENCE_STEPS
from mnistdiff.storage import PACKAGED

Configuration = Mapping[str, Any]  # of strings, numbers and None
SAMPLERS = ("ddim", "ddpm")
LATENT_VARIANTS = ("raw", "scaled", "scaled, averaged")
# entries of a profile on which the experiments of a kind depend
VAE = ("vae",)
LATENT = ("vae", "latent", "pixel.ddpm_steps", "curve_evaluations")
TEXT = ("vae", "latent", "text")
RUNGS = ("vae", "latent.batch_size", "ladder", "curve_evaluations")
REPORTED = ("epochs", "batch_size", "learning_rate")
REPORT_VAE = {f"vae.{name}": VAE_SETTINGS[name] for name in REPORTED}
PIXEL_TRAINING = asdict(pixel_training(PIXEL_SETTINGS["epochs"]))


@dataclass(frozen=True)
class Experiment:
    """A set of configurations that are trained and measured alike, and their result file."""

    name: str  # stem of the file in book/results/
    stands_for: tuple[str, ...]
    kind: str  # the function in `units` that runs it; empty: another program makes the file
    configurations: tuple[Configuration, ...] = ({},)
    uses: tuple[str, ...] = ()  # entries of the profile, and "weights/FILE" of the package
    fixed: Mapping[str, Any] = field(default_factory=dict)  # settings besides the profile's
    seeds: int = 1  # required
    hours: float = 0.0  # of one unit on one core, estimated
    profile: str = "report"
    report: Mapping[str, Any] = field(default_factory=dict)  # settings that the report gives
    made_by: str = "mnistdiff reproduce"


@dataclass(frozen=True)
class Unit:
    """One configuration with one training seed."""

    experiment: Experiment
    configuration: Configuration
    seed: int
    profile: Profile

    @property
    def label(self) -> str:
        """Return the name that messages carry."""
        values = [f"{name} {value}" for name, value in self.configuration.items()]
        return ", ".join([self.experiment.name, *values, f"seed {self.seed}"])

    @property
    def key(self) -> str:
        """Return a hash of everything that the unit's result depends on, code left out."""
        parts = (self.experiment.name, dict(self.configuration), self.seed, self.settings)
        return sha256(repr(parts).encode()).hexdigest()[:16]

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings that all units of the experiment share."""
        return settings_of(self.experiment, self.profile)

    @property
    def trainings(self) -> frozenset[str]:
        """Return names of the networks that the unit trains; two units never train one at once."""
        c, seed = self.configuration, self.seed
        clip = f"clip seed {seed}"
        match self.experiment.kind:
            case "vae" | "latent":
                length = "long" if c.get("training") == "long" else "normal"
                return frozenset({self._vae(c["beta"], c["latent_dim"], seed, length)})
            case "pixel":
                return frozenset({f"U-Net seed {seed}"})
            case "report_text":
                return frozenset({self._vae(1.0, 100, seed), clip})
            case "text":
                return frozenset({self._vae(*TINY_SD_VAE, seed), clip})
            case "rung":
                beta = next(rung.beta for rung in LADDER if rung.name == c["rung"])
                return frozenset({self._vae(beta, LATENT_DIM, 0)})
        return frozenset()  # the models that ship

    def _vae(self, beta: Any, latent_dim: Any, seed: int, length: str = "normal") -> str:
        return f"VAE {beta} {latent_dim} {length} seed {seed} of {self.profile.name}"


def settings_of(experiment: Experiment, profile: Profile) -> dict[str, Any]:
    """Return the settings of an experiment with a profile, by dotted names ("vae.epochs")."""
    entries = asdict(profile)
    settings = {name: entries[name] for name in ("train_size", "test_size", "samples")}
    for name in experiment.uses:
        if name.startswith("weights/"):
            weights = (PACKAGED / name.removeprefix("weights/")).read_bytes()
            settings[name] = sha256(weights).hexdigest()[:12]
            continue
        group, _, entry = name.partition(".")
        value = entries[group]
        if isinstance(value, dict):
            chosen = {entry: value[entry]} if entry else value
            settings |= {f"{group}.{key}": each for key, each in chosen.items()}
        else:
            settings[name] = list(value) if isinstance(value, tuple) else value
    head = {"profile": profile.name, "source": profile.source}
    return {**head, **settings, **experiment.fixed}


def _grid(**values: Sequence[Any]) -> tuple[Configuration, ...]:
    return tuple(dict(zip(values, row, strict=True)) for row in product(*values.values()))


RUNG_NAMES = tuple(rung.name for rung in LADDER)
POINTS = tuple(
    {"sampler": sampler, "eta": eta, "num_inference_steps": steps} for sampler, eta, steps in CURVE
)
# what the shipped settings are chosen from, by the rules in `choices`
SECOND = "weights/second-v1.safetensors"
LATENT_WEIGHTS = tuple(f"weights/{latent_name(*vae)}.safetensors" for vae in SHIPPED_LATENT)
TEXT_WEIGHTS = "weights/tiny-mnist-sd-v1.safetensors"


def _spanned(scales: Sequence[float], spans: Sequence[tuple[int, int]]) -> list[Configuration]:
    return [{"scale": s, "low": low, "high": high} for s, (low, high) in product(scales, spans)]


GUIDANCE_CHOICES = (
    *_spanned((1.0, 1.4), [EVERYWHERE]),
    *_spanned((2.0, 3.0, 4.0), [(100, 400), (200, 500), (300, 600), (200, 700)]),
)
AUTOGUIDANCE_CHOICES = (
    *_spanned((1.0,), [EVERYWHERE]),
    *_spanned((1.75, 2.25), [(400, 800)]),
    *_spanned((2.25, 2.75), [(500, 800)]),
    *_spanned((2.25,), [(300, 600)]),
)
CATALOGUE = (
    Experiment(
        "table2",
        ("Table 1", "Table 2", "Figure 1"),
        "vae",
        _grid(beta=BETAS, latent_dim=(100,)),
        VAE,
        seeds=3,
        hours=0.5,
        report=REPORT_VAE,
    ),
    Experiment(
        "table3",
        ("Table 3",),
        "vae",
        _grid(beta=(1.0,), latent_dim=LATENT_DIMS),
        VAE,
        seeds=3,
        hours=0.5,
        report=REPORT_VAE,
    ),
    Experiment(
        "figure4",
        ("Figure 4",),
        "latent",
        _grid(beta=(1.0,), latent_dim=(50,), sampler=SAMPLERS),
        LATENT,
        hours=0.15,
        report=REPORT_VAE,
    ),
    Experiment(
        "figure5",
        ("Figure 5",),
        "latent",
        _grid(beta=BETAS, latent_dim=(100,), sampler=SAMPLERS),
        LATENT,
        hours=0.15,
        report=REPORT_VAE,
    ),
    Experiment(
        "figure6",
        ("Figure 6",),
        "latent",
        _grid(beta=(1.0,), latent_dim=LATENT_DIMS, sampler=SAMPLERS),
        LATENT,
        hours=0.15,
        report=REPORT_VAE,
    ),
    Experiment(
        "latent_ablation",
        ("Section 4, ablation",),
        "latent",
        _grid(
            beta=(BETAS[1], 1.0),
            latent_dim=(100,),
            sampler=SAMPLERS[:1],
            variant=LATENT_VARIANTS,
        ),
        LATENT,
        hours=0.15,
        report=REPORT_VAE,
    ),
    Experiment(
        "table5",
        ("Table 5", "Figure 7"),
        "report_text",
        ({},),
        (*RUNGS, "text.clip_epochs"),
        {
            "learning_rate": TEXT_SETTINGS["learning_rate"],
            "batch_size": VAE_SETTINGS["batch_size"],
            "ddim_steps": TEXT_SETTINGS["ddim_steps"],
        },
        seeds=3,
        hours=0.2,
        report={**REPORT_VAE, "ladder.epochs": TEXT_SETTINGS["epochs"]},
    ),
    Experiment(
        "figure7_ours",
        ("Figure 7, our recipe",),
        "text",
        ({},),
        TEXT,
        seeds=3,
        hours=1.3,
        profile="ship",
    ),
    Experiment(
        "recipe_ladder",
        ("Section 6, ladder",),
        "rung",
        _grid(rung=RUNG_NAMES),
        (*RUNGS, "weights/tiny-mnist-sd-v1.safetensors"),
        seeds=3,
        hours=0.1,
        profile="ship",
        report={"ladder.epochs": TEXT_SETTINGS["epochs"]},
    ),
    Experiment(
        "curve_latent",
        ("Section 4, curve",),
        "latent_point",
        POINTS,
        ("weights/latent-beta0.01-dim50-v1.safetensors",),
        hours=0.03,
    ),
    Experiment(
        "curve_pixel",
        ("Section 3, curve",),
        "pixel_point",
        POINTS,
        ("weights/unet-v1.safetensors",),
        hours=0.1,
    ),
    Experiment(
        "table4",
        ("Table 4", "Figure 3"),
        "pixel",
        _grid(sampler=SAMPLERS),
        ("pixel",),
        {f"pixel.{name}": PIXEL_TRAINING[name] for name in REPORTED if name != "epochs"}
        | {"pixel.optimiser": PIXEL_TRAINING["optimiser"]}
        | {"ddim_steps": PIXEL_SETTINGS["ddim_steps"], "eta": PIXEL_SETTINGS["ddim_eta"]},
        hours=2.5,
        report={f"pixel.{name}": PIXEL_SETTINGS[name] for name in ("epochs", "batch_size")},
    ),
    Experiment(
        "figure2",
        ("Figure 2",),
        "vae",
        _grid(beta=(1.0,), latent_dim=(100,), training=("normal", "long")),
        VAE,
        hours=1.25,
        report={**REPORT_VAE, "vae.long_epochs": 200},
    ),
    Experiment(
        "choice_guidance",
        ("Choice of guidance",),
        "choice_guidance",
        GUIDANCE_CHOICES,
        (TEXT_WEIGHTS, SECOND),
        {"num_inference_steps": NUM_INFERENCE_STEPS},
        hours=0.02,
    ),
    Experiment(
        "choice_steps",
        ("Choice of steps",),
        "choice_steps",
        _grid(num_inference_steps=(10, 20, 35, 50, 100)),
        (TEXT_WEIGHTS, SECOND),
        {"scale": GUIDANCE_SCALE, "low": GUIDANCE_SPAN[0], "high": GUIDANCE_SPAN[1]},
        hours=0.02,
    ),
    Experiment(
        "choice_autoguidance",
        ("Choice of autoguidance",),
        "choice_autoguidance",
        tuple({"space": s, **each} for s in ("latent", "pixel") for each in AUTOGUIDANCE_CHOICES),
        (*LATENT_WEIGHTS, "weights/unet-v1.safetensors", SECOND),
        {"pixel_steps": 25, "latent_steps": 50, "pixel_samples": 2_000},
        hours=0.03,
    ),
    Experiment(
        "choice_vae",
        ("Choice of the VAE",),
        "choice_vae",
        tuple({"beta": beta, "latent_dim": dim} for beta, dim in SHIPPED_LATENT),
        (*LATENT_WEIGHTS, SECOND),
        {"num_inference_steps": 50},
        hours=0.02,
    ),
    Experiment(
        "comfyui",
        ("Figure 8", "Figure 9", "Figure 10", "Figure 11", "Figure 12"),
        "",
        made_by="python scripts/measure_comfyui.py ADDRESS",
    ),
)


def select(only: Iterable[str] | None = None) -> tuple[Experiment, ...]:
    """Return the experiments with these names; "figure1" also finds the one that stands for it.

    Raises MnistdiffError for an unknown name.
    """
    if only is None:
        return CATALOGUE
    chosen = []
    for name in only:
        found = [e for e in CATALOGUE if name == e.name or name in _short_names(e)]
        if not found:
            names = ", ".join(e.name for e in CATALOGUE)
            raise MnistdiffError(f"there is no experiment {name!r}; these are: {names}.")
        chosen += [e for e in found if e not in chosen]
    return tuple(e for e in CATALOGUE if e in chosen)


def _short_names(experiment: Experiment) -> list[str]:
    return [title.lower().replace(" ", "") for title in experiment.stands_for]


def find_profile(name: str) -> Profile:
    """Return a profile by its name alone, whatever the environment says.

    Raises MnistdiffError for an unknown name.
    """
    if name not in PROFILES:
        raise MnistdiffError(f"profile is {name!r}; it must be one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def plan(
    experiments: Iterable[Experiment], profile: str | None = None, seeds: int | None = None
) -> list[Unit]:
    """Return all units: seed 0 of every experiment first, then the next seed of each.

    `profile` and `seeds` replace those of the experiments. Raises MnistdiffError if seeds < 1.
    """
    if seeds is not None and seeds < 1:
        raise MnistdiffError(f"seeds is {seeds}; at least 1 is needed.")
    units = [
        Unit(experiment, configuration, seed, find_profile(profile or experiment.profile))
        for experiment in experiments
        if experiment.kind
        for configuration in experiment.configurations
        for seed in range(seeds or experiment.seeds)
    ]
    return sorted(units, key=lambda unit: unit.seed)  # stable: the catalogue's order within a seed
