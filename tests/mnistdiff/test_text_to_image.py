"""Prompts, CLIP, the conditioned network, the pipeline and its LoRAs."""

import ast
import importlib.util
import inspect
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UniPCMultistepScheduler

from mnistdiff.cli import main
from mnistdiff.clip import CLIP, CLIPConfig, contrastive_loss, zero_shot_accuracy
from mnistdiff.diffusion import encode_means
from mnistdiff.errors import MnistdiffError
from mnistdiff.evaluation import ladder
from mnistdiff.experiments import get_profile, load_digits
from mnistdiff.latent import EpsMLPCond, EpsMLPCondConfig, drop_condition
from mnistdiff.lora import inject_lora, lora_state_dict, merge_lora
from mnistdiff.pictures import FORMATS, read_grey, save_grid
from mnistdiff.pipeline import TextToImagePipeline
from mnistdiff.prompts import (
    DIGIT_NAMES,
    HELD_OUT_TEMPLATES,
    NEUTRAL_WORDS,
    TEMPLATES,
    VOCABULARY,
    digit_in,
    prompts_for,
    random_prompt,
    tokenize,
)
from mnistdiff.samplers import as_eps, sample_ddim, sample_ddpm, sample_heun
from mnistdiff.schedules import NoiseSchedule, cosine_beta_schedule, linear_beta_schedule
from mnistdiff.storage import save_weights
from mnistdiff.training import ContrastiveLoss, TextToImageLoss
from mnistdiff.vae import VAE, VAEConfig

SCHEDULE = NoiseSchedule(cosine_beta_schedule(1000))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randomised(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator()) * 0.3)
    return network.eval()


def tiny_network():
    return randomised(EpsMLPCond(EpsMLPCondConfig(4, 16, 2, 8, cond_dim=12)))


@pytest.fixture
def pipeline():
    torch.manual_seed(0)
    clip = CLIP(CLIPConfig(embed_dim=12, channels=(4, 4, 4), text_width=8, text_layers=1))
    return TextToImagePipeline(clip, tiny_network(), VAE(VAEConfig(4, 16, 1)), 1.5)


class TestPrompts:
    def test_every_phrasing_names_its_digit(self):
        for digit in range(10):
            for prompt in prompts_for(digit, (*TEMPLATES, *HELD_OUT_TEMPLATES)):
                assert digit_in(prompt) == digit
        assert digit_in("A handwritten SEVEN!") == 7
        assert digit_in("a photo of the digit") is None

    def test_held_out_phrasings_are_new_but_their_words_are_not(self):
        assert not set(TEMPLATES) & set(HELD_OUT_TEMPLATES)
        words = {w for t in HELD_OUT_TEMPLATES for w in t.split()} - {"{}"}
        assert words <= set(NEUTRAL_WORDS)

    def test_random_prompts_name_the_digit_and_differ(self):
        drawn = [random_prompt(3, generator(seed)) for seed in range(40)]
        assert {digit_in(prompt) for prompt in drawn} == {3}
        assert len(set(drawn)) > 20

    @pytest.mark.parametrize(
        ("prompt", "words"),
        [
            ("a cat", "'cat'"),
            ("three eight", "3, 8"),
            ("a " * 16, "at most 15"),
            (7, "it must be text"),
            ("x" * 999, "never saw: 'xxx"),
        ],
    )
    def test_what_cannot_be_drawn_gets_a_sentence(self, prompt, words):
        with pytest.raises(MnistdiffError, match=words) as error:
            tokenize([prompt])
        assert len(str(error.value)) < 500

    def test_one_prompt_or_none_where_several_are_wanted_gets_a_sentence(self):
        for prompts in ("seven", []):
            with pytest.raises(MnistdiffError, match="expected a list"):
                tokenize(prompts)


class TestCLIP:
    def test_loss_equals_the_two_cross_entropies_written_out(self):
        images, texts = torch.randn(2, 6, 5, generator=generator())
        logits = torch.tensor(
            [[4.0 * float(F.cosine_similarity(i, t, dim=0)) for t in texts] for i in images]
        )
        rows, columns = (-torch.log_softmax(logits, d).diagonal().mean() for d in (1, 0))
        loss = contrastive_loss(images, texts, 4.0)
        torch.testing.assert_close(loss, (rows + columns) / 2)

    def test_false_negatives_are_left_out(self):
        images, texts = torch.randn(2, 4, 5, generator=generator())
        labels = torch.tensor([1, 2, 1, 3])
        same = labels[:, None] == labels
        masked = contrastive_loss(images, texts, 2.0, same)
        similarity = 2 * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
        kept = [[j for j in range(4) if j == i or labels[i] != labels[j]] for i in range(4)]
        rows = [similarity[i, js].logsumexp(0) - similarity[i, i] for i, js in enumerate(kept)]
        cols = [similarity[js, i].logsumexp(0) - similarity[i, i] for i, js in enumerate(kept)]
        expected = (torch.stack(rows).mean() + torch.stack(cols).mean()) / 2
        torch.testing.assert_close(masked, expected)

    def test_text_does_not_depend_on_its_neighbours_in_the_batch(self):
        clip = CLIP().eval()
        with torch.no_grad():
            together = clip.encode_text(["7", "a white seven on a black background"])
            torch.testing.assert_close(clip.encode_text(["7"])[0], together[0])
            swapped = clip.encode_text(["digit 7", "7 digit"])
        assert not torch.allclose(swapped[0], swapped[1])  # the order counts

    def test_zero_shot_is_by_cosine(self):
        texts = torch.tensor([[10.0, 0.0], [0.0, 1.0]])
        images = torch.tensor([[1.0, 2.0], [1.0, 0.1], [3.0, 1.0]])
        assert zero_shot_accuracy(images, texts, torch.tensor([1, 0, 1])) == pytest.approx(2 / 3)

    def test_every_parameter_gets_a_gradient(self):
        clip, labels = CLIP(), torch.arange(10)
        loss = ContrastiveLoss()(clip, torch.rand(10, 1, 28, 28), labels, generator())
        loss["total"].backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in clip.parameters())


class TestConditioning:
    def test_prediction_changes_with_the_condition_row_by_row(self):
        network = tiny_network()
        x, t, cond = torch.randn(3, 4), torch.tensor([5, 500, 999]), torch.randn(3, 12)
        with torch.no_grad():
            before = network(x, t, cond)
            cond[1] += 1
            after = network(x, t, cond)
        changed = (before - after).abs().amax(dim=1) > 1e-6
        assert changed.tolist() == [False, True, False]

    def test_no_condition_is_the_null_condition_is_the_dropout_path(self):
        network = tiny_network()
        x, t, cond = torch.randn(3, 4), torch.tensor([5, 500, 999]), torch.randn(3, 12)
        dropped = drop_condition(cond, network.null_cond, torch.tensor([True] * 3))
        with torch.no_grad():
            torch.testing.assert_close(network(x, t), network(x, t, dropped))

    def test_dropping_takes_only_the_marked_rows_and_changes_nothing_in_place(self):
        cond, null = torch.randn(3, 3), torch.zeros(3)
        kept = cond.clone()
        out = drop_condition(cond, null, torch.tensor([False, True, False]))
        assert torch.equal(cond, kept)
        assert torch.equal(out[1], null)
        assert torch.equal(out[[0, 2]], cond[[0, 2]])

    @pytest.mark.parametrize("prob", [0.0, 1.0])
    def test_dropped_conditions_teach_null_cond_alone(self, prob):
        network = EpsMLPCond(EpsMLPCondConfig(4, 16, 2, 8, cond_dim=12))
        randomised(network)
        bank = torch.randn(10, 3, 12)
        loss = TextToImageLoss(SCHEDULE, bank, prob)
        total = loss(network, torch.randn(8, 4), torch.arange(8), generator())["total"]
        total.backward()
        grad = network.null_cond.grad
        assert (grad is not None and bool(grad.abs().sum() > 0)) == (prob == 1.0)

    def test_guidance_in_one_batch_equals_two_calls(self):
        network = tiny_network()
        model, cond = as_eps(network, SCHEDULE), torch.randn(3, 12)
        uncond = network.null_cond.detach().expand(3, -1)
        options = {"num_inference_steps": 5, "cond": cond, "guidance_scale": 3.0}
        draws = [
            sample_ddim(model, SCHEDULE, (3, 4), **options, **extra, generator=generator())
            for extra in ({}, {"uncond": uncond})
        ]
        torch.testing.assert_close(*draws)


class TestPipeline:
    def test_same_seed_same_pixels_and_a_row_does_not_depend_on_the_others(self, pipeline):
        first, second = (pipeline(["7", "one"], generator=generator(3)).images for _ in range(2))
        assert torch.equal(first, second)
        alone = pipeline("7", generator=generator(3)).images
        torch.testing.assert_close(alone[0], first[0])

    def test_negative_prompt_takes_the_null_conditions_place(self, pipeline):
        plain, same, other = (
            pipeline("7", negative, guidance_scale=3.0, generator=generator()).images
            for negative in ("", "a digit", "one")
        )
        assert torch.equal(plain, same)
        assert not torch.allclose(plain, other)

    def test_guidance_1_needs_no_negative(self, pipeline):
        draws = [
            pipeline("7", n, guidance_scale=1.0, generator=generator()).images for n in ("", "one")
        ]
        assert torch.equal(*draws)

    def test_a_guidance_span_counts_in_timesteps_of_1000(self, pipeline):
        """It is as good for a schedule of 50 timesteps, and the same in every way of drawing."""
        pipeline.schedule = NoiseSchedule(linear_beta_schedule(50, 1e-3, 0.2))
        pipeline.model = as_eps(pipeline.eps_mlp, pipeline.schedule)
        options = {"guidance_scale": 3.0, "num_inference_steps": 10, "guidance_span": (200, 600)}
        found = pipeline("7", generator=generator(), **options)
        expected = sample_ddim(
            pipeline.model,
            pipeline.schedule,
            (1, 4),
            num_inference_steps=10,
            cond=pipeline.encode_prompts(["7"]),
            uncond=pipeline.encode_prompts([""]),
            guidance_scale=3.0,
            guidance_span=(10, 30),
            generator=generator(),
        )
        assert torch.equal(found.latents, expected)
        frame = pipeline.interpolate("7", "one", 2, generator=generator(), **options).latents[:1]
        torch.testing.assert_close(frame, expected)
        everywhere = options | {"guidance_span": (0, 1000)}
        assert not torch.allclose(
            pipeline("7", generator=generator(), **everywhere).latents, expected
        )

    def test_a_saved_pipeline_draws_the_same(self, pipeline, tmp_path):
        pipeline.save_pretrained(tmp_path)
        again = TextToImagePipeline.from_pretrained(tmp_path)
        draws = [p("a seven", generator=generator()).images for p in (pipeline, again)]
        torch.testing.assert_close(*draws, atol=2e-2, rtol=0)  # half precision on disk

    def test_a_saved_pipeline_keeps_its_schedule_and_data(self, pipeline, tmp_path):
        own = TextToImagePipeline(
            pipeline.clip,
            pipeline.eps_mlp,
            pipeline.vae,
            np.float32(pipeline.scaling_factor),
            NoiseSchedule(linear_beta_schedule(50, 1e-3, 0.2)),
            trained_on="bundled",
        )
        own.save_pretrained(tmp_path)
        again = TextToImagePipeline.from_pretrained(tmp_path)
        assert torch.equal(again.schedule.betas, own.schedule.betas)
        assert again.trained_on == "bundled"

    def test_numbers_may_be_numpys_and_pictures_of_half_precision(self, pipeline):
        picture = torch.zeros(1, 1, 28, 28).half()
        options = {"num_images_per_prompt": np.int64(2), "num_inference_steps": np.int64(3)}
        assert len(pipeline("7", image=picture, **options).images) == 2
        assert len(pipeline.interpolate("7", "1", np.int64(3)).images) == 3

    def test_image_to_image_keeps_more_at_less_strength(self, pipeline):
        image = torch.rand(1, 1, 28, 28)
        start = pipeline.encode(image)
        far = [
            (pipeline("7", image=image, strength=s, generator=generator()).latents - start).norm()
            for s in (0.02, 1.0)
        ]
        assert far[0] < far[1]

    def test_guidance_0_leaves_only_the_unconditional_prediction(self, pipeline):
        seven, one = (
            pipeline(prompt, guidance_scale=0, num_inference_steps=3, generator=generator()).latents
            for prompt in ("7", "1")
        )
        torch.testing.assert_close(seven, one)
        with pytest.raises(MnistdiffError, match=r"guidance_scale is -0\.1"):
            pipeline("7", guidance_scale=-0.1)

    @pytest.mark.parametrize(("strength", "steps"), [(0.01, 1), (0.24, 2), (0.26, 3), (1, 10)])
    def test_image_to_image_takes_its_share_of_the_last_steps(self, pipeline, strength, steps):
        seen = []
        pipeline(
            "7", image=torch.zeros(1, 1, 28, 28), strength=strength, num_inference_steps=10,
            callback=lambda i, t, z, z0: seen.append(t),
        )  # fmt: skip
        assert seen == [100 * step - 1 for step in range(steps, 0, -1)]

    def test_interpolation_starts_and_ends_at_its_prompts(self, pipeline):
        frames = pipeline.interpolate("7", "one", 4, generator=generator()).images
        assert frames.shape == (4, 1, 28, 28)
        for frame, prompt in ((0, "7"), (-1, "one")):
            alone = pipeline(prompt, generator=generator()).images
            torch.testing.assert_close(frames[frame], alone[0], atol=1e-5, rtol=1e-4)

    def test_interpolation_uses_the_pipelines_sampler(self, pipeline):
        ddim = pipeline.interpolate("7", "one", 2, generator=generator()).images
        pipeline.sampler = "heun"
        assert not torch.equal(
            ddim, pipeline.interpolate("7", "one", 2, generator=generator()).images
        )

    def test_callback_sees_every_step(self, pipeline):
        seen = []
        pipeline("7", num_inference_steps=4, callback=lambda i, t, z, z0: seen.append((i, t)))
        assert seen == [(0, 999), (1, 749), (2, 499), (3, 249)]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"prompt": []}, "there is no prompt"),
            ({"prompt": "7", "guidance_scale": -1}, "guidance_scale is -1"),
            ({"prompt": "7", "guidance_span": (500, 200)}, r"guidance_span is \(500, 200\)"),
            ({"prompt": "7", "guidance_span": None}, "guidance_span is None"),
            ({"prompt": "7", "num_images_per_prompt": 0}, "num_images_per_prompt is 0"),
            ({"prompt": "7", "sampler": "euler"}, "'euler'"),
            ({"prompt": ["7", "8"], "negative_prompt": ["1", "2", "3"]}, "3 negative prompts"),
            ({"prompt": "7", "image": torch.zeros(1, 1, 28, 28), "strength": 0}, "strength is 0"),
            ({"prompt": "7", "num_inference_steps": 0}, "num_inference_steps is 0"),
            ({"prompt": None}, "the prompt is None"),
            ({"prompt": "7", "guidance_scale": "3"}, "guidance_scale is '3'"),
            ({"prompt": "7", "sampler": "ddpm", "eta": 0.5}, "eta is 0.5"),
            ({"prompt": "7", "eta": "0"}, "eta is '0'"),
            ({"prompt": "7", "sampler": ["ddim"]}, "sampler is .'ddim'"),
            ({"prompt": "7", "generator": [1]}, "one generator for all"),
            ({"prompt": "7", "generator": [torch.Generator()] * 2}, "2 generators for 1 images"),
            ({"prompt": "7", "latents": torch.zeros(2, 4)}, r"shape \(2, 4\); expected \(1, 4\)"),
            ({"prompt": "7", "latents": torch.zeros(1, 5)}, r"\(1, 5\), not \(B, 4\)"),
            ({"prompt": "7", "latents": torch.full((1, 4), float("nan"))}, "hold NaN"),
            ({"prompt": "7", "latents": [0.0] * 4}, "latents are list"),
            ({"prompt": "7", "output_type": "jpg"}, "output_type is 'jpg'"),
            ({"prompt": "7", "callback_on_step_end": print}, "use callback=f"),
            ({"prompt": "7", "height": 512}, "28x28"),
            ({"prompt": "7", "sampler": DDIMScheduler()}, "Use sampler='ddim'"),
            ({"prompt": "7", "sampler": UniPCMultistepScheduler()}, "Use one of ddim, ddpm"),
            ({"prompt": "7", "generator": 5}, "generator is 5"),
            ({"prompt": "7", "image": "7.png"}, "image is str"),
            ({"prompt": "7", "image": torch.zeros(2, 1, 28, 28)}, "2 pictures for 1"),
            ({"prompt": "7", "image": torch.zeros(1, 1, 28, 28) - 1}, "from -1 to -1"),
            ({"prompt": "7", "image": torch.ones(1, 1, 28, 28).byte()}, "are uint8"),
        ],
    )
    def test_bad_settings_get_a_sentence(self, pipeline, options, words):
        with pytest.raises(MnistdiffError, match=words):
            pipeline(**options)

    def test_options_of_nobody_are_refused_and_those_of_diffusers_that_are_off_are_not(
        self, pipeline
    ):
        with pytest.raises(TypeError, match="no option 'guidance'"):
            pipeline("7", guidance=3.0)
        drawn = pipeline("7", generator=generator(), prompt_embeds=None, return_dict=False)
        assert torch.equal(drawn[0], pipeline("7", generator=generator()).images)

    def test_every_option_of_diffusers_works_or_is_refused_and_is_in_the_table(self, pipeline):
        root = Path(importlib.util.find_spec("diffusers").origin).parent
        tree = ast.parse(
            (root / "pipelines/stable_diffusion/pipeline_stable_diffusion.py").read_text()
        )
        call = next(n for n in ast.walk(tree) if getattr(n, "name", "") == "__call__")
        theirs = {each.arg for each in call.args.args} - {"self"}
        ours = set(inspect.signature(TextToImagePipeline.__call__).parameters)
        table = Path("book/api.md").read_text()
        for name in theirs:
            assert f"`{name}`" in table
            if name not in ours:
                with pytest.raises(MnistdiffError, match=f"^{name} is an option of diffusers"):
                    pipeline("7", **{name: 1})
        with pytest.raises(MnistdiffError, match="torch_dtype"):
            TextToImagePipeline.from_pretrained(torch_dtype=torch.float16)
        with pytest.raises(MnistdiffError, match="adapter_name"):
            pipeline.load_lora_weights("bold", adapter_name="bold")

    def test_loras_can_be_unloaded(self, pipeline):
        before = {name: v.clone() for name, v in pipeline.eps_mlp.state_dict().items()}
        pipeline.unload_lora_weights()  # without one, nothing happens
        network = tiny_network()
        for layer in inject_lora(network, rank=2):
            torch.nn.init.normal_(layer.up, std=0.3, generator=generator())
        adapters = lora_state_dict(network)
        for strength in (1.0, 0.5):
            pipeline.load_lora_weights(adapters, strength)
            assert not torch.equal(
                before["blocks.0.inner.weight"], pipeline.eps_mlp.blocks[0].inner.weight
            )
        other = TextToImagePipeline(pipeline.clip, tiny_network(), pipeline.vae, 1.5)
        other.load_lora_weights(adapters)
        inject_lora(other.eps_mlp)
        with pytest.raises(MnistdiffError, match="other layers"):
            other.unload_lora_weights()
        with pytest.raises(MnistdiffError, match="overflow"):
            pipeline.load_lora_weights(adapters, 1e39)
        pipeline.unload_lora_weights()
        after = pipeline.eps_mlp.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert before.keys() == after.keys()

    def test_output_types_are_those_of_diffusers(self, pipeline, tmp_path):
        images, array, pictures = (
            pipeline(["7", "1"], generator=generator(), output_type=kind).images
            for kind in ("pt", "np", "pil")
        )
        assert array.shape == (2, 28, 28, 1)
        assert array.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(array[..., 0]), images[:, 0])
        pictures[1].save(tmp_path / "one.png")
        levels = (read_grey(tmp_path / "one.png")[0] * 255).round()
        assert torch.equal(levels, (images[1] * 255).round())

    def test_given_latents_take_the_place_of_drawn_ones(self, pipeline):
        noise = torch.randn(2, 4, generator=generator(5))
        given = pipeline(["7", "1"], latents=noise).images
        assert torch.equal(given, pipeline(["7", "1"], generator=generator(5)).images)

    @pytest.mark.parametrize("options", [{}, {"eta": 1.0}, {"sampler": "ddpm"}])
    def test_with_a_generator_for_each_an_image_depends_on_its_own_alone(self, pipeline, options):
        options |= {"num_inference_steps": 5}
        seeds = [generator(s) for s in range(300)]  # more than are drawn together
        together = pipeline("7", num_images_per_prompt=300, generator=seeds, **options).images
        for row in (0, 299):
            alone = pipeline("7", generator=[generator(row)], **options).images
            torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-4)

    def test_a_sampler_may_be_a_function_and_the_pipelines_own(self, pipeline):
        expected = pipeline("7", generator=generator(), sampler="heun").images
        by_function = pipeline("7", generator=generator(), sampler=sample_heun).images
        pipeline.sampler = "heun"
        assert torch.equal(by_function, expected)
        assert torch.equal(pipeline("7", generator=generator()).images, expected)
        ddpm = [
            pipeline("7", generator=generator(), sampler=s).images for s in ("ddpm", sample_ddpm)
        ]
        assert torch.equal(*ddpm)

    def test_a_scheduler_is_not_taken_in_silence(self, pipeline):
        assert not hasattr(pipeline, "scheduler")
        with pytest.raises(MnistdiffError, match=r"pipeline\.sampler"):
            pipeline.scheduler = DDIMScheduler()

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpmpp_2m", "heun"])
    def test_moved_to_another_type_it_draws_the_same(self, pipeline, dtype, sampler):
        def draw():
            options = {"sampler": sampler, "num_inference_steps": 6, "guidance_scale": 1.5}
            picture = torch.full((1, 1, 28, 28), 0.5)
            first = pipeline(["7", "1"], generator=generator(), **options)
            second = pipeline("7", image=picture, generator=generator(), **options)
            frames = pipeline.interpolate("7", "1", 2, generator=generator())
            return first, second, frames

        before, after = draw(), [pipeline.to(dtype), draw()][1]
        assert pipeline.dtype == dtype
        for plain, moved in zip(before, after, strict=True):
            assert moved.images.dtype == moved.latents.dtype == dtype
            tolerance = {torch.float64: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}[dtype]
            assert (moved.images.float() - plain.images).abs().max() <= tolerance
        assert len(pipeline("7", output_type="pil").images) == 1

    def test_moved_to_another_device_nothing_stays_behind(self, pipeline):
        pipeline.to("meta")
        assert pipeline.device.type == "meta"
        for network in (pipeline.model, pipeline.clip, pipeline.vae):
            everything = [*network.parameters(), *network.buffers()]
            assert {each.device.type for each in everything} == {"meta"}

    @pytest.mark.parametrize("place", ["cuda:99", torch.int64, torch.complex64, "nowhere"])
    def test_a_place_that_is_not_there_gets_a_sentence(self, pipeline, place):
        with pytest.raises(MnistdiffError, match="cannot be moved"):
            pipeline.to(place)
        assert pipeline.device.type == "cpu"
        assert pipeline.dtype == torch.float32

    def test_no_negative_prompt_may_be_none_as_in_diffusers(self, pipeline):
        draws = [pipeline("7", n, generator=generator()).images for n in ("", None)]
        assert torch.equal(*draws)

    def test_one_picture_for_each_digit(self, pipeline):
        images = torch.rand(2, 1, 28, 28)
        both = pipeline(["7", "1"], image=images, strength=0.1, generator=generator()).images
        first = pipeline("7", image=images[:1], strength=0.1, generator=generator()).images
        torch.testing.assert_close(both[:1], first)

    @pytest.mark.parametrize(
        ("options", "words"),
        [({"frames": 0}, "frames is 0"), ({"guidance_scale": float("nan")}, "guidance_scale is n")],
    )
    def test_bad_interpolation_gets_a_sentence(self, pipeline, options, words):
        with pytest.raises(MnistdiffError, match=words):
            pipeline.interpolate("7", "1", **options)

    @pytest.mark.parametrize(
        ("part", "entry"),
        [
            *(("vae", {"foo": 1}), ("vae", None), ("clip", {"channels": [3, 4]})),
            *(("clip", {"text_width": 6}), ("clip", {"vocabulary_size": -1})),
            *(("clip", {"embed_dim": 10**9}), ("eps_mlp", {"blocks": 10**8})),
            ("clip", {"channels": [10**6, 10**6, 64]}),
            *(("scaling_factor", 0), ("scaling_factor", "x"), ("scaling_factor", None)),
        ],
    )
    def test_a_file_of_another_version_gets_a_sentence(self, pipeline, tmp_path, part, entry):
        tensors, meta = pipeline.packed()
        meta[part] = meta[part] | entry if isinstance(entry, dict) else entry
        save_weights(tmp_path / "tiny-mnist-sd.safetensors", tensors, meta)
        with pytest.raises(MnistdiffError, match=r"this version can build|scaling_factor is"):
            TextToImagePipeline.from_pretrained(tmp_path)

    def test_a_folder_without_a_pipeline_gets_a_sentence(self, tmp_path):
        with pytest.raises(MnistdiffError, match="does not exist"):
            TextToImagePipeline.from_pretrained(tmp_path)


class TestLoRA:
    def trained(self):
        network = tiny_network()
        for layer in inject_lora(network, rank=2):
            torch.nn.init.normal_(layer.up, std=0.3, generator=generator())
        return network

    def test_starts_as_nothing_and_trains_only_itself(self):
        plain, network = tiny_network(), tiny_network()
        inject_lora(network)
        args = torch.randn(3, 4), torch.tensor([1, 2, 3]), torch.randn(3, 12)
        torch.testing.assert_close(network(*args), plain(*args))
        trainable = {n.rsplit(".", 1)[1] for n, p in network.named_parameters() if p.requires_grad}
        assert trainable == {"up", "down"}

    def test_merged_equals_injected_at_any_strength(self):
        network, args = self.trained(), (torch.randn(3, 4), torch.tensor([1, 2, 3]))
        adapters = lora_state_dict(network)
        for strength in (1.0, 0.4, -0.5):
            for layer in network.modules():
                if hasattr(layer, "strength"):
                    layer.strength = strength
            merged = tiny_network()
            merge_lora(merged, adapters, strength)
            torch.testing.assert_close(merged(*args), network(*args), atol=1e-5, rtol=1e-4)

    def test_keys_are_those_of_comfyui(self):
        keys = set(lora_state_dict(self.trained()))
        stems = {f"diffusion_model.blocks.0.inner.{e}" for e in ("lora_up.weight", "alpha")}
        assert stems <= keys

    @pytest.mark.parametrize(
        ("prefix", "separator", "up", "down"),
        [
            ("base_model.model.", ".", "lora_B.weight", "lora_A.weight"),  # PEFT
            ("base_model.model.", ".", "lora_B.default.weight", "lora_A.default.weight"),
            ("unet.", ".", "lora_B.weight", "lora_A.weight"),  # diffusers
            ("unet.", ".", "lora.up.weight", "lora.down.weight"),  # diffusers before PEFT
            ("transformer.", ".", "lora_B.weight", "lora_A.weight"),
            ("lora_unet_", "_", "lora_up.weight", "lora_down.weight"),  # kohya
            ("", ".", "lora_up.weight", "lora_down.weight"),
        ],
    )
    def test_other_programs_names_are_understood(self, prefix, separator, up, down):
        ours, renamed = lora_state_dict(self.trained()), {}
        for key, tensor in ours.items():
            layer, _, part = key.removeprefix("diffusion_model.").partition(".lora_")
            if part:
                name = prefix + layer.replace(".", separator)
                renamed[f"{name}.{up if part.startswith('up') else down}"] = tensor
        networks = [tiny_network(), tiny_network()]
        for network, adapters in zip(networks, (ours, renamed), strict=True):
            merge_lora(network, adapters, 0.7)
        for name, weight in networks[0].state_dict().items():
            assert torch.equal(weight, networks[1].state_dict()[name])
        assert not torch.equal(
            networks[0].blocks[0].inner.weight, tiny_network().blocks[0].inner.weight
        )

    @pytest.mark.parametrize(
        "key",
        [
            "blocks.0.inner.dora_scale",
            "blocks.0.inner.diff_b",
            "blocks.0.inner.diff",
            "blocks.0.inner.lora_mid.weight",
            "blocks.0.inner.lokr_w1",
            "blocks.0.inner.lora_magnitude_vector",
            "blocks.0.inner.lora_up.bias",
        ],
    )
    def test_what_would_be_left_out_is_named(self, key):
        network, adapters = tiny_network(), lora_state_dict(self.trained())
        before = {name: value.clone() for name, value in network.state_dict().items()}
        adapters[f"diffusion_model.{key}"] = torch.zeros(16)
        with pytest.raises(MnistdiffError, match=key):
            merge_lora(network, adapters)
        assert all(torch.equal(before[name], v) for name, v in network.state_dict().items())

    def test_one_layer_under_two_names_is_refused(self):
        adapters = lora_state_dict(self.trained())
        key = "diffusion_model.blocks.0.inner.lora_up.weight"
        adapters[key.replace("diffusion_model.", "unet.")] = adapters[key]
        with pytest.raises(MnistdiffError, match="two matrices up"):
            merge_lora(tiny_network(), adapters)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_it_is_trained_and_merged_in_the_networks_type(self, dtype):
        network = tiny_network().to(dtype)
        inject_lora(network)
        assert {p.dtype for p in network.parameters()} == {dtype}
        assert network(torch.randn(3, 4), torch.tensor([1, 2, 3])).dtype == dtype
        merge_lora(plain := tiny_network().to(dtype), lora_state_dict(self.trained()))
        assert {p.dtype for p in plain.parameters()} == {dtype}

    def test_another_networks_lora_is_refused(self):
        adapters = lora_state_dict(self.trained())
        other = EpsMLPCond(EpsMLPCondConfig(4, 8, 2, 8, cond_dim=12))
        with pytest.raises(MnistdiffError, match="does not fit"):
            merge_lora(other, adapters)
        with pytest.raises(MnistdiffError, match="holds no LoRA"):
            merge_lora(other, {})
        with pytest.raises(MnistdiffError, match="adapters already"):
            inject_lora(self.trained())

    @pytest.mark.parametrize("strength", [float("nan"), float("inf"), "1"])
    def test_a_strength_that_is_no_number_gets_a_sentence(self, strength):
        with pytest.raises(MnistdiffError, match="strength is"):
            merge_lora(tiny_network(), lora_state_dict(self.trained()), strength)

    @pytest.mark.parametrize(
        ("part", "tensor"),
        [
            ("lora_down.weight", torch.zeros(7, 16)),  # of another rank
            ("lora_down.weight", torch.zeros(5)),
            ("lora_up.weight", torch.full((16, 2), float("nan"))),
            ("alpha", torch.zeros(3)),
        ],
    )
    def test_a_broken_lora_changes_nothing(self, part, tensor):
        network, adapters = tiny_network(), lora_state_dict(self.trained())
        before = {name: value.clone() for name, value in network.state_dict().items()}
        adapters[f"diffusion_model.blocks.1.outer.{part}"] = tensor  # the last one
        with pytest.raises(MnistdiffError, match=r"blocks\.1\.outer"):
            merge_lora(network, adapters)
        assert all(torch.equal(before[name], v) for name, v in network.state_dict().items())


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_keeps_every_pixel(tmp_path, ending):
    images = torch.rand(2, 1, 28, 28, generator=generator())
    save_grid(tmp_path / f"g{ending}", images, columns=1)
    levels = (read_grey(tmp_path / f"g{ending}") * 255).round().reshape(2, 1, 28, 28)
    assert torch.equal(levels, (images * 255).round())


@pytest.mark.parametrize(
    ("images", "columns", "scale", "words"),
    [
        (torch.zeros(1, 1, 28, 28), 1, 100_000, "pixels"),  # 8 TB
        (torch.zeros(1, 1, 28, 28), 1, 1.5, "scale is 1.5"),
        (torch.zeros(3, 1, 28, 28), 2, 1, "rows of 2"),
        (torch.zeros(0, 1, 28, 28), 1, 1, "0 images"),
        (torch.full((1, 1, 28, 28), float("nan")), 1, 1, "NaN"),
    ],
)
def test_what_makes_no_picture_gets_a_sentence(tmp_path, images, columns, scale, words):
    with pytest.raises(MnistdiffError, match=words):
        save_grid(tmp_path / "g.png", images, columns, scale)
    assert not list(tmp_path.iterdir())


def test_grid_has_a_row_per_prompt(tmp_path):
    from PIL import Image

    images = torch.zeros(6, 1, 28, 28)
    images[1] = 1.0  # first row, second column
    save_grid(tmp_path / "g.png", images, columns=3, scale=2)
    with Image.open(tmp_path / "g.png") as picture:
        assert picture.size == (168, 112)
        assert [picture.getpixel(xy) for xy in ((10, 10), (70, 10), (70, 70))] == [0, 255, 0]
    with pytest.raises(MnistdiffError, match="jpg"):
        save_grid(tmp_path / "g.jpg", images, columns=3)


def test_train_and_sample_from_the_command_line(tmp_path, capsys):
    assert main(["train", "tiny-sd", "--profile", "smoke", "--out", str(tmp_path), "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"accuracy", "per_digit", "fd_ratio", "recall", "coverage"} <= set(row)
    assert row["data"] == "bundled"
    assert main(["eval", "clip", "--model", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == "bundled"
    pictures = []
    for name in ("a.png", "b.png"):
        arguments = ["sample", "7", DIGIT_NAMES[3], "--n", "2", "--seed", "5"]
        out = ["-o", str(tmp_path / name), "--model", str(tmp_path)]
        assert main(arguments + out) == 0
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a cat"], "'cat'"),
        (["7", "--lora", "bald"], "'bald'"),
        (["7", "-o", "x.jpg"], ".png"),
        (["7", "--scale", "100000"], "Choose a smaller scale"),
        (["7", "--sampler", "ddpm", "--eta", "5"], "eta is 5.0"),
    ],
)
def test_sample_tells_in_words_what_is_wrong(tmp_path, pipeline, capsys, arguments, words):
    pipeline.save_pretrained(tmp_path)
    assert main(["sample", *arguments, "--model", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_a_prompt_ends_and_is_padded_with_the_vocabularys_own_tokens():
    words = [[VOCABULARY[token] for token in row] for row in tokenize(["a seven", "7"]).tolist()]
    assert words == [["a", "seven", "<end>"], ["7", "<end>", "<pad>"]]


def test_rungs_change_what_they_say():
    profile = get_profile("smoke")
    torch.manual_seed(0)
    network = VAE(VAEConfig(4, 16, 1))
    bank = torch.randn(10, 3, 6)
    cond, noise = bank[:, 0], torch.randn(10, 4)
    latents = encode_means(network, load_digits(profile, quiet=True)[0].images)
    for rung in (ladder.LADDER[0], ladder.LADDER[-1]):
        model, factor, fit = ladder.fit_rung(rung, profile, network, bank, 0)
        assert factor == pytest.approx(1 / float(latents.std()) if rung.scaled else 1.0, rel=1e-3)
        assert isinstance(model, EpsMLPCond) == rung.adaptive
        assert len(fit.history) == profile.ladder.epochs
        drawn = ladder.draw_rung(rung, model, cond, noise, 5)
        plain = ladder.draw_rung(replace(rung, guidance_scale=1.0), model, cond, noise, 5)
        assert torch.equal(drawn, plain) == (rung.guidance_scale == 1)
        assert torch.equal(drawn, ladder.draw_rung(rung, model, cond, noise, 5))  # eta is 0


def test_the_ladders_result_has_every_seed_and_intervals_over_them(monkeypatch):
    def fake(profile, clip):
        rows = [dict.fromkeys(("accuracy", "fd_ratio", "coverage", "recall"), s) for s in (0, 1, 2)]
        return [ladder.RungResult(rung, rows, torch.zeros(1, 1, 28, 28)) for rung in ladder.LADDER]

    monkeypatch.setattr(ladder, "run_ladder", fake)
    result = ladder.evaluate_ladder(get_profile("smoke"), None)
    assert [rung["name"] for rung in result["rungs"]] == [rung.name for rung in ladder.LADDER]
    first = result["rungs"][0]
    assert first["accuracies"] == [0, 1, 2]
    assert first["fd_ratio"] == 1
    assert first["fd_ratio_interval"][1] == pytest.approx(1 + 4.303 / 3**0.5)
