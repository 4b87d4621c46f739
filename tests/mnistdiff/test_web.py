"""The model in a browser against torch: the same numbers, digits and sentences."""

import http.server
import json
import shlex
import shutil
import threading
from functools import partial

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from torch import nn

from mnistdiff.cli import main
from mnistdiff.comfyui import run_workflow
from mnistdiff.errors import MnistdiffError
from mnistdiff.lora import inject_lora
from mnistdiff.metrics import load_second_classifier, read_digits
from mnistdiff.pictures import read_grey
from mnistdiff.pipeline import TextToImagePipeline, shipped_loras
from mnistdiff.prompts import HELD_OUT_TEMPLATES, TEMPLATES, prompts_for
from mnistdiff.storage import read_weights, save_weights
from mnistdiff.web import export_web

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WHOLE = "([prompt, options]) => mnistdiff.sample(prompt, options).then((x) => Array.from(x))"
MESSAGE = "([prompt, options]) => mnistdiff.sample(prompt, options).catch((e) => e.message)"


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def shipped():
    return TextToImagePipeline.from_pretrained()


@pytest.fixture(scope="module")
def folder(shipped, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    export_web(shipped, folder, list(shipped_loras()))
    return folder


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: install the Debian package chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def loaded(browser, folder):
    """The page with the weights in it, for the engine alone."""
    page = browser.new_page()
    page.goto((folder / "index.html").as_uri())
    page.evaluate("() => mnistdiff.load().then(() => null)")
    return page


@pytest.fixture
def opened(browser, folder):
    """A fresh page, with what it asked for and what it complained about."""
    page = browser.new_page(reduced_motion="reduce")  # nothing plays by itself
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto((folder / "index.html").as_uri())
    yield page
    page.close()


def wait_for(page, text):
    page.wait_for_function(
        "(text) => document.querySelector('.ask-status').textContent.includes(text)", arg=text
    )


class TestEngine:
    def test_random_numbers_are_torchs(self, loaded):
        sizes = torch.randint(1, 785, (1000,), generator=seeded(0)).tolist()
        sizes[:40] = range(1, 41)
        found = loaded.evaluate(
            "(sizes) => sizes.map((n, seed) => Array.from(new mnistdiff.Generator(seed).randn(n)))",
            sizes,
        )
        for seed, (size, numbers) in enumerate(zip(sizes, found, strict=True)):
            expected = torch.randn(size, generator=seeded(seed))
            assert (torch.tensor(numbers) - expected).abs().max() < 3e-6, (seed, size)

    def test_one_generator_draws_again_and_again_and_takes_large_seeds(self, loaded):
        seed, sizes = 2**32 - 1, [3, 64, 5, 33, 700, 1]
        found = loaded.evaluate(
            "([seed, sizes]) => { const g = new mnistdiff.Generator(seed); "
            "return sizes.map((n) => Array.from(g.randn(n))); }",
            [seed, sizes],
        )
        generator = seeded(seed)
        for size, numbers in zip(sizes, found, strict=True):
            expected = torch.randn(size, generator=generator)
            torch.testing.assert_close(torch.tensor(numbers), expected, atol=3e-6, rtol=0)

    def test_embeddings_are_torchs(self, loaded, shipped):
        prompts = [p for d in range(10) for p in prompts_for(d, (*TEMPLATES, *HELD_OUT_TEMPLATES))]
        prompts += ["", "a digit", "Photo, of... the number FOUR!", "5\n"]
        found = loaded.evaluate(
            "async (prompts) => { const m = await mnistdiff.load(); "
            "return prompts.map((p) => Array.from(m.encode(p))); }",
            prompts,
        )
        expected = shipped.encode_prompts(prompts)
        torch.testing.assert_close(torch.tensor(found), expected, atol=1e-6, rtol=0)

    @pytest.mark.parametrize(
        ("prompt", "here", "there"),
        [
            ("seven", {}, {}),
            ("a digit", {}, {}),
            ("one", {"negative": "seven"}, {"negative_prompt": "seven"}),
            ("8", {"sampler": "ddpm", "steps": 30}, {"sampler": "ddpm", "num_inference_steps": 30}),
            ("8", {"eta": 0.4, "steps": 17}, {"eta": 0.4, "num_inference_steps": 17}),
            ("2", {"sampler": "dpmpp_2m", "steps": 20},
             {"sampler": "dpmpp_2m", "num_inference_steps": 20}),
            ("2", {"sampler": "dpmpp_2m", "steps": 1},
             {"sampler": "dpmpp_2m", "num_inference_steps": 1}),
            ("3", {"steps": 1}, {"num_inference_steps": 1}),
            ("3", {"steps": 333}, {"num_inference_steps": 333}),
            ("5", {"guidanceScale": 0}, {"guidance_scale": 0}),
            ("5", {"guidanceScale": 8, "guidanceSpan": [300, 600]},
             {"guidance_scale": 8, "guidance_span": (300, 600)}),
            ("4", {"loras": {"bold": 0.8}}, {"loras": {"bold": 0.8}}),
            ("4", {"loras": {"slanted": -0.5}}, {"loras": {"slanted": -0.5}}),
            ("4", {"loras": {"thin": 1, "bold": 0.3}}, {"loras": {"thin": 1, "bold": 0.3}}),
            ("4", {"loras": {"thin": 0}}, {}),  # and nothing of the last styles is left
        ],
    )  # fmt: skip
    def test_pixels_are_torchs(self, loaded, prompt, here, there):
        pipeline = TextToImagePipeline.from_pretrained()
        for name, strength in there.pop("loras", {}).items():
            pipeline.load_lora_weights(name, strength)
        found = torch.tensor(loaded.evaluate(WHOLE, [prompt, here | {"seed": 11}]))
        expected = pipeline(prompt, generator=seeded(11), **there).images.flatten()
        assert (found - expected).abs().max() < 2e-3

    def test_a_thousand_seeds_give_the_digits_of_the_library(self, loaded, shipped):
        found = torch.tensor(
            loaded.evaluate(
                "async () => { const all = []; for (let seed = 0; seed < 1000; seed++) all.push("
                "Array.from(await mnistdiff.sample(String(seed % 10), "
                "{seed, steps: 6, sampler: 'dpmpp_2m', guidanceScale: 1.4}))); return all; }"
            )
        ).reshape(-1, 1, 28, 28)
        asked = torch.arange(1000) % 10
        expected = shipped(
            [str(int(digit)) for digit in asked],
            num_inference_steps=6,
            guidance_scale=1.4,
            sampler="dpmpp_2m",
            generator=[seeded(seed) for seed in range(1000)],
        ).images
        assert (found - expected).abs().max() < 2e-3
        for classifier in (None, load_second_classifier()):
            assert (read_digits(found, classifier).digits == asked).double().mean() >= 0.99

    def test_given_noise_and_every_step_are_seen(self, loaded, shipped):
        noise = torch.randn(1, 64, generator=seeded(5))
        steps = loaded.evaluate(
            "async (noise) => { const seen = []; await mnistdiff.sample('7', {noise, steps: 6, "
            "onStep: ({step, t, latent, x0}) => seen.push([t, [...latent], [...x0]])}); "
            "return seen; }",
            noise[0].tolist(),
        )
        seen = []
        shipped("7", latents=noise, num_inference_steps=6, callback=lambda *s: seen.append(s[1:]))
        assert [step[0] for step in steps] == [*(t for t, _, _ in seen), -1]
        for (_, latent, x0), (_, z_t, z0_hat) in zip(steps, seen, strict=False):
            torch.testing.assert_close(torch.tensor(latent), z_t[0], atol=1e-4, rtol=0)
            torch.testing.assert_close(torch.tensor(x0), z0_hat[0], atol=1e-4, rtol=0)

    @pytest.mark.parametrize(
        ("prompt", "here", "there"),
        [
            ("a cat", {}, {}),
            ("it's a 'cat'", {}, {}),
            ('say "cat\'s"\n', {}, {}),
            ("x" * 999, {}, {}),
            ("three eight", {}, {}),
            ("8 three 8 0", {}, {}),
            ("a " * 16, {}, {}),
            ("７ and ² and naïve", {}, {}),
            ("seven", {"negative": "a dog"}, {"negative_prompt": "a dog"}),
            ("seven", {"steps": 0}, {"num_inference_steps": 0}),
            ("seven", {"steps": 1001}, {"num_inference_steps": 1001}),
            ("seven", {"guidanceScale": -1}, {"guidance_scale": -1}),
            ("seven", {"eta": 2}, {"eta": 2}),
            ("seven", {"eta": 0.5, "sampler": "dpmpp_2m"}, {"eta": 0.5, "sampler": "dpmpp_2m"}),
        ],
    )
    def test_refusals_are_the_librarys_sentences(self, loaded, shipped, prompt, here, there):
        with pytest.raises(MnistdiffError) as error:
            shipped(prompt, **there)
        assert loaded.evaluate(MESSAGE, [prompt, here]) == str(error.value)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"sampler": "euler"}, "sampler is 'euler'; it must be one of ddim, ddpm, dpmpp_2m."),
            ({"seed": -1}, "seed is -1"),
            ({"seed": 2**32}, "seed is 4294967296"),
            ({"seed": 1.5}, "seed is 1.5"),
            ({"steps": "20"}, "num_inference_steps is '20'"),
            ({"noise": [1, 2]}, "noise has 2 numbers, expected 64."),
            ({"loras": {"italic": 1}}, "there is no LoRA 'italic'. The model has: bold, slanted"),
            ({"loras": {"bold": "1"}}, "strength is 1"),
            ({"guidance": 3}, "there is no option 'guidance'; there are: negative, guidanceScale"),
        ],
    )
    def test_options_out_of_range_get_a_sentence(self, loaded, options, words):
        assert words in loaded.evaluate(MESSAGE, ["seven", options])

    def test_a_refused_strength_and_a_second_request_leave_the_loras_alone(self, loaded):
        bold, plain, *again = loaded.evaluate(
            "async () => { const draw = (loras, more) => mnistdiff.sample('4', {steps: 4, loras, "
            "...more}).then((x) => Array.from(x), () => null); const slow = () => new Promise((f) "
            "=> setTimeout(f, 5)); const bold = await draw({bold: 1}); await draw({bold: NaN}); "
            "const plain = await draw({}); await draw({bold: 1}); await draw({bold: NaN}); "
            "const after = await draw({bold: 1}); return [bold, plain, after, ...await Promise.all("
            "[draw({bold: 1}, {onStep: slow}), draw({}, {onStep: slow})])]; }"
        )
        assert bold != plain
        assert again == [bold, bold, plain]


class TestPage:
    def test_nothing_is_loaded_before_the_click(self, opened):
        assert not [url for url in opened.asked if "tiny-mnist-sd" in url]
        opened.click("button[value=three]")
        wait_for(opened, "Drawn: three")
        assert len([url for url in opened.asked if "tiny-mnist-sd" in url]) == 1
        assert {url.split(":")[0] for url in opened.asked} <= {"file", "data"}
        assert opened.errors == []

    def test_by_keyboard_alone(self, opened):
        opened.keyboard.press("Tab")
        assert opened.evaluate("document.activeElement.value") == "zero"
        opened.focus("[name=prompt]")
        opened.keyboard.press("Control+A")
        opened.keyboard.type("a handwritten nine")
        opened.keyboard.press("Enter")
        wait_for(opened, "Drawn: a handwritten nine")
        assert "a handwritten nine" in opened.get_attribute(
            "canvas[aria-label*=drawing]", "aria-label"
        )
        opened.focus("[name=at]")
        opened.keyboard.press("Home")
        assert opened.get_attribute("[name=at]", "aria-valuetext").startswith("step 1 of 20")
        first = opened.evaluate("document.querySelector('canvas').toDataURL()")
        opened.keyboard.press("End")
        assert opened.evaluate("document.querySelector('canvas').toDataURL()") != first
        assert opened.errors == []

    def test_play_runs_to_the_end_and_calm_readers_start_it_themselves(self, browser, folder):
        for motion, moves in (("reduce", False), ("no-preference", True)):
            page = browser.new_page(reduced_motion=motion)
            page.goto((folder / "index.html").as_uri())
            page.click("button[value=one]")
            wait_for(page, "Drawn: one")
            assert (page.inner_text("[name=play]") == "Pause") == moves
            if not moves:
                page.click("[name=play]")
            page.wait_for_function("document.querySelector('[name=play]').textContent == 'Play'")
            assert (
                page.inner_text("form output >> nth=0") == "the digit"
                or page.locator(".ask-stage output").inner_text() == "the digit"
            )
            page.close()

    def test_the_address_holds_the_state(self, browser, folder, opened):
        opened.fill("[name=prompt]", "five")
        opened.click("summary")
        for name, value in (("guidance", "3"), ("lora-bold", "0.7"), ("steps", "12")):
            opened.fill(f"[name={name}]", value)
        opened.fill("[name=seed]", "41")
        opened.click(".ask-draw")
        wait_for(opened, "Drawn: five, in 12 steps")
        again = browser.new_page(reduced_motion="reduce")
        again.goto(opened.url)
        again.click(".ask-draw")
        wait_for(again, "Drawn: five, in 12 steps")
        pictures = [
            page.evaluate("document.querySelectorAll('canvas')[1].toDataURL()")
            for page in (opened, again)
        ]
        assert pictures[0] == pictures[1]
        assert again.input_value("[name=lora-bold]") == "0.7"
        again.close()

    def test_comparing_draws_the_digit_without_guidance(self, opened):
        opened.click("summary")
        opened.fill("[name=guidance]", "8")
        opened.check("[name=compare]")
        opened.click(".ask-draw")
        wait_for(opened, "Drawn: seven")
        views = opened.evaluate(
            "[...document.querySelectorAll('canvas')].map((c) => "
            "[...c.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 == 0))"
        )
        for view, scale in ((views[1], 8), (views[2], 1)):
            drawn = opened.evaluate(WHOLE, ["seven", {"guidanceScale": scale, "steps": 20}])
            assert np.abs(np.array(view) - 255 * np.array(drawn)).max() <= 1

    def test_the_same_digit_elsewhere(self, opened, tmp_path, monkeypatch):
        state = {
            "prompt": "this is... a 'six'",
            "negative": "eight",
            "guidance": 2.5,
            "steps": 20,
            "sampler": "ddim",
            "eta": 0,
            "seed": 3,
            "loras": {"bold": 0.5, "thin": -0.25},
        }
        options = {
            "negative": "eight", "guidanceScale": 2.5, "steps": 20, "seed": 3,
            "loras": state["loras"],
        }  # fmt: skip
        here = torch.tensor(opened.evaluate(WHOLE, [state["prompt"], options]))
        python, shell, workflow = (
            opened.evaluate(f"(state) => mnistdiff.copyAs.{kind}(state)", state)
            for kind in ("python", "shell", "workflow")
        )
        names = {}
        exec(python, names)
        assert (names["images"].flatten() - here).abs().max() < 2e-3
        monkeypatch.chdir(tmp_path)
        assert main(shlex.split(shell)[1:]) == 0
        assert (read_grey("digit.png").flatten() - here).abs().max() < 3e-3
        (tmp_path / "graph.json").write_text(json.dumps(workflow))
        assert (run_workflow("graph.json").flatten() - here).abs().max() < 3e-3

    def test_a_digit_can_be_downloaded_as_a_workflow(self, opened, tmp_path):
        with opened.expect_download() as download:
            opened.click("text=Download as ComfyUI workflow")
        download.value.save_as(tmp_path / "digit.json")
        assert run_workflow(tmp_path / "digit.json").shape == (1, 1, 28, 28)
        opened.click("text=Copy as shell")  # a page opened from a folder shows it
        opened.wait_for_function(
            "/Copied|Copy this/.test(document.querySelector('.ask-status').textContent)"
        )

    def test_weights_that_are_missing_or_cut_off_get_a_sentence_and_another_try(
        self, browser, folder, tmp_path
    ):
        shutil.copytree(folder, tmp_path / "web")
        weights = tmp_path / "web" / "tiny-mnist-sd.js"
        whole = weights.read_text()
        page = browser.new_page()
        weights.unlink()
        page.goto((tmp_path / "web" / "index.html").as_uri())
        page.click(".ask-draw")
        wait_for(page, "could not be loaded from")
        for broken in (
            whole[: len(whole) // 2],
            whole[: len(whole) // 2 // 4 * 4] + '");\n',
            'window.mnistdiff.receive("AAAA");',
            "",
        ):
            weights.write_text(broken)
            page.click(".ask-draw")
            page.wait_for_function(
                "/cut off|cannot be read/.test(document.querySelector('.ask-status').textContent)"
            )
        weights.write_text(whole)
        page.click(".ask-draw")
        wait_for(page, "Drawn: seven")
        page.close()

    def test_a_server_that_names_another_kind_of_file(self, browser, folder):
        class Plain(http.server.SimpleHTTPRequestHandler):
            extensions_map = {"": "text/plain", ".html": "text/html", ".css": "text/css"}  # noqa: RUF012

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(Plain, directory=str(folder))
        ) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.click("button[value=two]")
            wait_for(page, "Drawn: two")
            page.close()
            server.shutdown()

    def test_without_javascript_a_sentence_stays(self, browser, folder):
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto((folder / "index.html").as_uri())
        assert "needs JavaScript" in page.inner_text(".ask")

    def test_a_students_own_model_draws_and_another_file_is_refused(self, opened, own, tmp_path):
        export_web(own, tmp_path)
        opened.click("summary")
        opened.set_input_files("[name=file]", tmp_path / "tiny-mnist-sd.js")
        wait_for(opened, "Drawn: seven")
        found = torch.tensor(opened.evaluate(WHOLE, ["two", {"seed": 4, "steps": 9}]))
        expected = own("two", generator=seeded(4), num_inference_steps=9).images.flatten()
        assert (found - expected).abs().max() < 5e-2  # the page holds half precision
        (tmp_path / "digit.js").write_text("alert(1)")
        opened.set_input_files("[name=file]", tmp_path / "digit.js")
        wait_for(opened, "cannot be read")
        assert opened.evaluate(WHOLE, ["two", {"seed": 4, "steps": 9}]) == found.tolist()

    @pytest.mark.parametrize("width", [360, 1280])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_is_accessible_and_fits_a_phone(self, browser, folder, width, scheme):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto((folder / "index.html").as_uri())
        page.click("summary")
        page.click("button[value=two]")
        wait_for(page, "Drawn: two")
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


@pytest.fixture
def own():
    """A small pipeline with other sizes than the shipped one."""
    from mnistdiff.clip import CLIP, CLIPConfig
    from mnistdiff.latent import EpsMLPCond, EpsMLPCondConfig
    from mnistdiff.schedules import NoiseSchedule, linear_beta_schedule
    from mnistdiff.vae import VAE, VAEConfig

    torch.manual_seed(0)
    clip = CLIP(CLIPConfig(embed_dim=20, channels=(4, 4, 4), text_width=16, text_layers=1))
    network = EpsMLPCond(EpsMLPCondConfig(12, 24, 2, 10, cond_dim=20))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    schedule = NoiseSchedule(linear_beta_schedule(400))
    return TextToImagePipeline(clip, network, VAE(VAEConfig(12, 30, 1)), 1.5, schedule)


class TestExport:
    def test_the_command_writes_a_page(self, capsys, tmp_path):
        assert main(["export", "web", str(tmp_path / "page"), "--lora", "bold"]) == 0
        assert "tiny-mnist-sd.js" in capsys.readouterr().out
        assert (tmp_path / "page" / "index.html").is_file()

    def test_loras_of_any_program_draw_in_the_page_under_a_safe_name(
        self, browser, shipped, tmp_path
    ):
        tensors, meta = read_weights(shipped_loras()["bold"])
        renamed = {
            key.replace("diffusion_model.", "base_model.model.")
            .replace("lora_down", "lora_A")
            .replace("lora_up", "lora_B"): value
            for key, value in tensors.items()
            if not key.endswith("alpha")
        }
        save_weights(tmp_path / "my.style.safetensors", renamed, dict(meta))
        export_web(shipped, tmp_path / "web", [tmp_path / "my.style.safetensors"])
        page = browser.new_page()
        page.goto((tmp_path / "web" / "index.html").as_uri())
        assert page.locator("[name^=lora-]").count() == 1
        found = torch.tensor(page.evaluate(WHOLE, ["4", {"loras": {"my-style": 0.8}}]))
        page.close()
        pipeline = TextToImagePipeline.from_pretrained()
        pipeline.load_lora_weights(renamed, 0.8)
        expected = pipeline("4", generator=seeded(0)).images.flatten()
        assert (found - expected).abs().max() < 2e-3

    def test_a_lora_too_large_for_half_precision_is_refused(self, shipped, tmp_path):
        tensors, meta = read_weights(shipped_loras()["bold"])
        key = next(key for key in tensors if key.endswith("lora_up.weight"))
        tensors = {k: v.float() for k, v in tensors.items()}
        tensors[key][0, 0] = 1e6
        save_weights(tmp_path / "large.safetensors", tensors, dict(meta))
        with pytest.raises(MnistdiffError, match="half precision"):
            export_web(shipped, tmp_path / "web", [tmp_path / "large.safetensors"])

    def test_a_network_that_the_engine_does_not_know_is_refused(self, own, tmp_path):
        class Other(type(own.eps_mlp)):
            pass

        inject_lora(own.eps_mlp)
        with pytest.raises(MnistdiffError, match="eps_mlp is a EpsMLPCond that the page's engine"):
            export_web(own, tmp_path)
        own.eps_mlp = Other(own.eps_mlp.config)
        with pytest.raises(MnistdiffError, match="eps_mlp is a Other"):
            export_web(own, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_lora_of_another_network_is_refused(self, own, tmp_path):
        with pytest.raises(MnistdiffError, match="does not fit"):
            export_web(own, tmp_path, ["bold"])

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--model", "nowhere"), "does not exist"),
            (("--lora", "italic"), "no LoRA 'italic'"),
        ],
    )
    def test_bad_input_gets_a_sentence(self, capsys, tmp_path, arguments, words):
        assert main(["export", "web", str(tmp_path), *arguments]) == 2
        assert words in capsys.readouterr().err
