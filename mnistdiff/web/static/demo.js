// "Ask for a digit": a form around the engine, in every element of the class `ask`.
"use strict";
(() => {
  /* global mnistdiff */
  const SIZE = "4.7 MB"; // of the weights, before the first click
  const NAMES = "zero one two three four five six seven eight nine".split(" ");
  const SAMPLERS = { ddim: "DDIM", ddpm: "DDPM", dpmpp_2m: "DPM-Solver++(2M)" };
  const NODES = ["Load Checkpoint", "CLIP Text Encode", "Empty Latent Image", "KSampler", "VAE Decode", "Save Image"];
  const DEFAULTS = { prompt: "seven", negative: "", guidance: 1.4, steps: 20, sampler: "ddim", eta: 0, seed: 0 };
  const STYLES = document.querySelector("[data-loras]").dataset.loras.split(",").filter(Boolean);
  const PLAIN = { ...DEFAULTS, ...Object.fromEntries(STYLES.map((style) => [`lora-${style}`, 0])) };
  const PATH = '<svg viewBox="-1.1 -1.1 2.2 2.2" role="img" aria-label="path of the latent in two dimensions"></svg><figcaption>path of z_t</figcaption>';
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  function make(tag, attributes = {}, ...children) {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  }

  function field(label, name, { options, ...attributes }) {
    const choices = Object.entries(options ?? {}).map(([value, text]) => make("option", { value }, text));
    const input = make(options ? "select" : "input", { name, ...attributes }, ...choices);
    const shown = attributes.type === "range" ? make("output") : "";
    if (shown) input.addEventListener("input", () => (shown.value = input.value));
    return make("label", {}, make("span", {}, label, " ", shown), input);
  }

  const button = (text, value, attributes) => make("button", { type: "button", value, ...attributes }, text);
  const row = (...children) => make("div", { className: "ask-row" }, ...children);
  const slider = (label, name, min, max, step) => field(label, name, { type: "range", min, max, step });
  const canvas = (label) => make("canvas", { width: 28, height: 28, role: "img", ariaLabel: label });

  function paint(target, pixels) {
    const context = target.getContext("2d"), image = context.createImageData(28, 28);
    pixels.forEach((value, i) => image.data.set([value * 255, value * 255, value * 255, 255], 4 * i));
    context.putImageData(image, 0, 0);
  }

  // The run's latents in the plane of their two largest directions, in [-1, 1].
  function plane(latents) {
    const mean = latents[0].map((_, k) => latents.reduce((sum, z) => sum + z[k] / latents.length, 0));
    let rows = latents.map((z) => Array.from(z, (value, k) => value - mean[k]));
    const axes = [0, 1].map(() => {
      let axis = rows[0].map((value) => value || 1e-9);
      for (let i = 0; i < 20; i++) {
        const shares = rows.map((row) => row.reduce((sum, value, k) => sum + value * axis[k], 0));
        axis = axis.map((_, k) => rows.reduce((sum, row, j) => sum + row[k] * shares[j], 0));
        const length = Math.hypot(...axis) || 1;
        axis = axis.map((value) => value / length);
      }
      const along = rows.map((row) => row.reduce((sum, value, k) => sum + value * axis[k], 0));
      rows = rows.map((row, j) => row.map((value, k) => value - along[j] * axis[k]));
      return along;
    });
    const largest = Math.max(...axes.flat().map(Math.abs)) || 1;
    return latents.map((_, j) => axes.map((axis) => axis[j] / largest));
  }

  function build(host) {
    const form = make("form", { className: "ask-form" });
    const digits = row(...NAMES.map((name, digit) => button(digit, name, { ariaLabel: `Draw: ${name}` })));
    const draw = make("button", { className: "ask-draw" }, `Draw (loads ${SIZE})`);
    const prompt = field("Prompt", "prompt", { autocomplete: "off" });
    const settings = make("details", { className: "ask-settings" }, make("summary", {}, "Settings"), make("div", { className: "ask-grid" },
      field("Negative prompt", "negative", { autocomplete: "off" }),
      slider("Guidance", "guidance", 0, 8, 0.1), slider("Steps", "steps", 1, 50, 1),
      field("Sampler", "sampler", { options: SAMPLERS }), slider("eta", "eta", 0, 1, 0.1),
      field("Seed", "seed", { type: "number", min: 0, max: 4294967295, step: 1 }),
      ...STYLES.map((style) => slider(`Style: ${style}`, `lora-${style}`, -1.5, 1.5, 0.1)),
      field("Compare with guidance 1", "compare", { type: "checkbox" }),
      field("Your own model (or drop it here)", "file", { type: "file", accept: ".js" })));
    const views = [canvas("noisy latent, decoded"), canvas("predicted digit"), canvas("digit with guidance 1")];
    const drawing = make("figure", { innerHTML: PATH }), path = drawing.firstChild;
    const play = button("Play", "", { name: "play" });
    const at = make("input", { type: "range", name: "at", min: 0, step: 1, ariaLabel: "Step" }), shown = make("output");
    const captions = ["z_t, decoded", "predicted z_0", "guidance 1"];
    const stage = make("div", { className: "ask-stage", hidden: true },
      make("div", { className: "ask-views" }, ...views.map((view, i) => make("figure", { hidden: i === 2 }, view, make("figcaption", {}, captions[i]))),
        drawing),
      row(play, at, shown));
    const share = row(...["Copy as Python", "Copy as shell", "Download as ComfyUI workflow"].map((text, i) => button(text, `${i}`)));
    const status = make("p", { className: "ask-status", role: "status" });
    const graph = make("ol", { className: "ask-graph", hidden: !("graph" in host.dataset) }, ...NODES.map((name) => make("li", {}, name)));
    const presets = row(...JSON.parse(host.dataset.presets ?? "[]").map(([text, state]) => button(text, JSON.stringify(state))));
    presets.hidden = !host.dataset.presets;
    form.append(presets, digits, make("div", { className: "ask-row ask-prompt" }, prompt, draw), graph, status, stage, settings, share);
    host.append(form);

    let frames = [], timer = 0, turn = 0;
    const light = (...lit) => { // and let the browser paint it
      [...graph.children].forEach((node, i) => node.classList.toggle("lit", lit.includes(i)));
      return graph.hidden || new Promise((done) => setTimeout(done, 80));
    };
    const say = (text, wrong = false) => {
      status.textContent = text;
      status.classList.toggle("wrong", wrong);
    };

    function write(state) {
      for (const name in PLAIN) form.elements[name].value = state[name] ?? form.elements[name].value;
      form.querySelectorAll("label input[type=range]").forEach((input) => input.dispatchEvent(new Event("input")));
    }

    function read() {
      const { elements } = form, state = {};
      for (const [name, value] of Object.entries(DEFAULTS)) state[name] = typeof value === "number" ? Number(elements[name].value || NaN) : elements[name].value;
      if (state.sampler !== "ddim") state.eta = 0; // DDPM has its own, and DPM-Solver++ none
      state.loras = Object.fromEntries(STYLES.map((s) => [s, Number(elements[`lora-${s}`].value)]).filter(([, strength]) => strength));
      return state;
    }

    function show(i) {
      const frame = frames[i], points = plane(frames.map(({ latent }) => latent));
      paint(views[0], frame.noisy);
      paint(views[1], frame.clean);
      path.innerHTML = `<polyline points="${points.map((p) => p.join()).join(" ")}"/><circle cx="${points[i][0]}" cy="${points[i][1]}" r=".07"/>`;
      at.value = i;
      shown.value = frame.t < 0 ? "the digit" : `step ${i + 1} of ${frames.length - 1}, t = ${frame.t}`;
      at.setAttribute("aria-valuetext", shown.value);
    }

    function stop() {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
    }

    function start() {
      let i = Number(at.value) >= frames.length - 1 ? 0 : Number(at.value);
      play.textContent = "Pause";
      timer = setInterval(() => {
        show(i++);
        if (i >= frames.length) stop();
      }, Math.max(2000 / frames.length, 40));
    }

    async function run(event) {
      event?.preventDefault();
      const mine = ++turn, state = read(), { prompt: text, guidance, steps, sampler, eta, seed, negative, loras } = state;
      stop();
      try {
        say(draw.textContent === "Draw" ? "Drawing." : `Loading the weights (${SIZE}).`);
        await light(0);
        const model = await mnistdiff.load();
        draw.textContent = "Draw";
        say("Drawing.");
        await light(1, 2);
        await light(3);
        const seen = [], options = { negative, guidanceScale: guidance, steps, sampler, eta, seed, loras };
        const onStep = ({ t, latent, x0 }) => seen.push({ t, latent, noisy: model.decode(latent), clean: model.decode(x0) });
        await mnistdiff.sample(text, { ...options, onStep });
        if (mine !== turn) return; // a later request has begun
        frames = seen;
        const compare = form.elements.compare.checked;
        if (compare) paint(views[2], await mnistdiff.sample(text, { ...options, guidanceScale: 1 }));
        views[2].parentElement.hidden = !compare;
        views[1].setAttribute("aria-label", `the model's drawing of: ${text}`);
        stage.hidden = false;
        host.querySelector("img")?.setAttribute("hidden", "");
        at.max = frames.length - 1;
        show(frames.length - 1);
        await light(4);
        await light(5);
        const changed = Object.entries({ ...state, loras: undefined, ...Object.fromEntries(Object.entries(loras).map(([s, v]) => [`lora-${s}`, v])) });
        history.replaceState(null, "", `#${new URLSearchParams(changed.filter(([name, value]) => value !== undefined && value !== DEFAULTS[name] || name === "prompt"))}`);
        say(`Drawn: ${text}, in ${steps} steps.`);
        if (!calm.matches && event?.type === "submit") start();
      } catch (error) {
        light();
        say(error.message, true);
      }
    }

    form.addEventListener("submit", run);
    form.addEventListener("change", (event) => {
      if (event.target.name === "file") own(event.target.files[0]);
      else if (!stage.hidden && event.target !== at) run();
    });
    digits.addEventListener("click", ({ target: { value } }) => value && (write({ prompt: value }), form.requestSubmit()));
    presets.addEventListener("click", ({ target: { value } }) => {
      if (!value) return;
      write({ ...PLAIN, ...JSON.parse(value) });
      form.requestSubmit();
    });
    play.addEventListener("click", () => (timer ? stop() : start()));
    at.addEventListener("input", () => (stop(), show(Number(at.value))));

    async function own(file) {
      try {
        if (!file) return;
        await mnistdiff.load(file);
        draw.textContent = "Draw";
        say(`This page now draws with ${file.name}.`);
        await run();
      } catch (error) {
        say(error.message, true);
      }
    }
    host.addEventListener("dragover", (event) => event.preventDefault());
    host.addEventListener("drop", (event) => {
      event.preventDefault();
      own(event.dataTransfer.files[0]);
    });

    share.addEventListener("click", async ({ target: { value } }) => {
      if (!value) return;
      const state = read();
      if (value === "2") {
        const file = new Blob([JSON.stringify(workflow(state), null, 1)], { type: "application/json" });
        const link = make("a", { href: URL.createObjectURL(file), download: "digit.json" });
        link.click();
        const fresh = state.eta || state.sampler === "ddpm" ? " There, fresh noise gives another digit." : "";
        return say(`Saved digit.json: drop it onto ComfyUI with the node pack.${fresh}`);
      }
      const text = value === "0" ? python(state) : shell(state);
      try {
        await navigator.clipboard.writeText(text);
        say("Copied.");
      } catch { // no permission, or a page opened from a folder
        const box = make("textarea", { value: text, rows: 8, readOnly: true, ariaLabel: "Copy this" });
        status.replaceChildren("Copy this:", box);
        box.select();
      }
    });

    write(PLAIN);
    if (host.dataset.state !== undefined || !document.querySelector(".ask[data-state]")) write(Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
  }

  // ---- The same digit elsewhere --------------------------------------------------------------

  const literal = JSON.stringify;

  function python({ prompt, negative, guidance, steps, sampler, eta, seed, loras }) {
    const styles = Object.entries(loras).map(([name, strength]) => `pipeline.load_lora_weights(${literal(name)}, ${strength})\n`).join("");
    return `import torch
from mnistdiff.pipeline import TextToImagePipeline

pipeline = TextToImagePipeline.from_pretrained()
${styles}images = pipeline(
    ${literal(prompt)},
    negative_prompt=${literal(negative)},
    guidance_scale=${guidance},
    num_inference_steps=${steps},
    sampler=${literal(sampler)},
    eta=${eta},
    generator=torch.Generator().manual_seed(${seed}),
).images
`;
  }

  const word = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  function shell({ prompt, negative, guidance, steps, sampler, eta, seed, loras }) {
    const styles = Object.entries(loras).map(([name, strength]) => ` --lora ${name}:${strength}`).join("");
    return `mnistdiff sample --negative=${word(negative)} --guidance ${guidance} --steps ${steps}` +
      ` --sampler ${sampler} --eta ${eta} --seed ${seed}${styles} --output digit.png -- ${word(prompt)}\n`;
  }

  const node = (class_type, inputs) => ({ class_type, inputs });

  function workflow({ prompt, negative, guidance, steps, sampler, seed, loras }) {
    const graph = { 1: node("MnistdiffLoader", { model_name: "tiny-mnist-sd" }) };
    let last = "1";
    for (const [name, strength] of Object.entries(loras)) {
      const at = `${10 + STYLES.indexOf(name)}`;
      graph[at] = node("LoraLoader", { model: [last, 0], clip: [last, 1], lora_name: `${name}-v1.safetensors`, strength_model: strength, strength_clip: strength });
      last = at;
    }
    graph[3] = node("CLIPTextEncode", { text: prompt, clip: [last, 1] });
    graph[4] = node("CLIPTextEncode", { text: negative, clip: [last, 1] });
    graph[5] = node("EmptyLatentImage", { width: 16, height: 16, batch_size: 1 });
    graph[6] = node("KSampler", { model: [last, 0], seed, steps, cfg: guidance, sampler_name: sampler, scheduler: "simple", positive: ["3", 0], negative: ["4", 0], latent_image: ["5", 0], denoise: 1 });
    graph[7] = node("VAEDecode", { samples: ["6", 0], vae: ["1", 2] });
    graph[8] = node("SaveImage", { images: ["7", 0], filename_prefix: "digit" });
    return graph;
  }

  Object.assign(mnistdiff, { copyAs: { python, shell, workflow } });
  document.querySelectorAll(".ask").forEach(build);
})();
