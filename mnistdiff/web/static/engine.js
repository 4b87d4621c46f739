// tiny-mnist-sd in plain JavaScript: prompt, text encoder, guided sampling, decoder. One seed is
// one digit here, in the notebooks, on the command line and in ComfyUI. Names are the library's.
"use strict";
(() => {
  const folder = new URL(".", document.currentScript?.src || document.baseURI).href;
  const WEIGHTS = "tiny-mnist-sd.js"; // a script, not data: pages opened from a folder cannot fetch

  // ---- Weights: the safetensors format, in half or single precision -------------------------

  const HALF = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    HALF[bits] = sign * (exponent === 31 ? (fraction ? NaN : Infinity) : size);
  }

  function readSafetensors(buffer) {
    try {
      const length = Number(new DataView(buffer).getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
      const meta = JSON.parse(header.__metadata__.mnistdiff), tensors = {};
      delete header.__metadata__;
      for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
        const bytes = buffer.slice(8 + length + from, 8 + length + to);
        if (bytes.byteLength !== to - from) throw new Error(`${name} is cut off`);
        if (dtype !== "F16" && dtype !== "F32") continue; // counters of batch normalisation
        const data = dtype === "F32" ? new Float32Array(bytes) : Float32Array.from(new Uint16Array(bytes), (b) => HALF[b]);
        if (!data.every(Number.isFinite)) throw new Error(`${name} contains NaN or infinity`);
        tensors[name] = { data, shape };
      }
      return { tensors, meta };
    } catch (error) {
      throw new Error(`The weights cannot be read (${error.message}). Export them again with \`mnistdiff export web\`.`);
    }
  }

  // ---- Prompts: the tokenizer and its refusals -----------------------------------------------

  const quoted = (text) => {
    const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
    const escapes = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", [mark]: `\\${mark}` };
    return mark + [...text].map((c) => escapes[c] ?? c).join("") + mark;
  };
  const cut = (text, length) => [...text].slice(0, length).join("");

  function wordsOf(prompt, { vocabulary, digit_names: names, max_words: most }) {
    if (typeof prompt !== "string") throw new Error(`the prompt is ${prompt}; it must be text such as 'a seven'.`);
    const words = prompt.toLowerCase().replace(/[^\p{L}\p{N}\s]/gu, " ").split(/\s+/).filter(Boolean);
    const unknown = words.find((word) => vocabulary.indexOf(word) < 2); // before: padding and end
    if (unknown !== undefined) {
      throw new Error(
        `the prompt ${cut(quoted(prompt), 60)} has a word that the model never saw: ${cut(quoted(unknown), 60)}. ` +
          `It knows the digits 0 to 9, their names, and: ${vocabulary.slice(22).join(" ")}.`);
    }
    if (words.length > most) {
      throw new Error(`the prompt ${quoted(cut(prompt, 40))}... has ${words.length} words; at most ${most} fit.`);
    }
    const digits = [...new Set(words.map((word) => digitOf(word, names)).filter((d) => d !== null))].sort();
    if (digits.length > 1) {
      throw new Error(
        `the prompt ${quoted(prompt)} names the digits ${digits.join(", ")}; the model draws one digit: ` +
          "name one, or give a list of prompts.");
    }
    return { words, digit: digits.length ? digits[0] : null };
  }

  const digitOf = (word, names) => (/^[0-9]$/.test(word) ? Number(word) : names.includes(word) ? names.indexOf(word) : null);

  // ---- Layers: rows of a flat Float32Array ---------------------------------------------------

  function linear(x, { weight: { data: w, shape: [out, width] }, bias }) {
    const rows = x.length / width, y = new Float32Array(rows * out);
    for (let o = 0; o < out; o++) {
      const at = o * width, shift = bias ? bias.data[o] : 0;
      for (let r = 0; r < rows; r++) {
        const from = r * width;
        let a = 0, b = 0, c = 0, d = 0, i = 0;
        for (; i + 3 < width; i += 4) {
          a += x[from + i] * w[at + i];
          b += x[from + i + 1] * w[at + i + 1];
          c += x[from + i + 2] * w[at + i + 2];
          d += x[from + i + 3] * w[at + i + 3];
        }
        for (; i < width; i++) a += x[from + i] * w[at + i];
        y[r * out + o] = a + b + c + d + shift;
      }
    }
    return y;
  }

  function layerNorm(x, { weight: { data: scale }, bias: { data: shift } }) {
    const width = scale.length, y = new Float32Array(x.length);
    for (let from = 0; from < x.length; from += width) {
      let mean = 0, variance = 0;
      for (let i = 0; i < width; i++) mean += x[from + i] / width;
      for (let i = 0; i < width; i++) variance += (x[from + i] - mean) ** 2 / width;
      const inverse = 1 / Math.sqrt(variance + 1e-5);
      for (let i = 0; i < width; i++) y[from + i] = (x[from + i] - mean) * inverse * scale[i] + shift[i];
    }
    return y;
  }

  const add = (x, y) => x.map((value, i) => value + y[i]);
  const silu = (x) => x.map((value) => value / (1 + Math.exp(-value)));
  const gelu = (x) => x.map((value) => 0.5 * value * (1 + erf(value / Math.SQRT2)));

  function erf(x) {
    if (Math.abs(x) > 4) return Math.sign(x);
    let term = x, sum = x; // the power series, in double precision
    for (let n = 1; Math.abs(term) > 1e-12; n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }

  function normalize(x) {
    const length = Math.max(Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)), 1e-12);
    return x.map((value) => value / length);
  }

  // ---- Random numbers: torch's CPU generator -------------------------------------------------

  class Generator {
    constructor(seed) {
      this.state = new Uint32Array(624);
      this.state[0] = seed;
      for (let j = 1; j < 624; j++) {
        const last = this.state[j - 1] ^ (this.state[j - 1] >>> 30);
        this.state[j] = Math.imul(1812433253, last) + j;
      }
      this.at = 624;
      this.kept = null; // the second number of a pair
    }

    next() { // Matsumoto & Nishimura, 1998: mt19937
      const s = this.state;
      if (this.at === 624) {
        for (let k = 0; k < 624; k++) {
          const y = (s[k] & 0x80000000) | (s[(k + 1) % 624] & 0x7fffffff);
          s[k] = s[(k + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
        }
        this.at = 0;
      }
      let y = s[this.at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    }

    uniform() {
      return (this.next() & 0xffffff) / 2 ** 24;
    }

    randn(size) {
      const x = new Float32Array(size);
      if (size < 16) return x.map(() => this.normal());
      for (let i = 0; i < size; i++) x[i] = this.uniform();
      for (let i = 0; i + 16 <= size; i += 16) boxMuller(x, i);
      if (size % 16) { // the last 16 once more
        for (let i = size - 16; i < size; i++) x[i] = this.uniform();
        boxMuller(x, size - 16);
      }
      return x;
    }

    normal() { // one number, in double precision
      if (this.kept !== null) {
        const value = this.kept;
        this.kept = null;
        return value;
      }
      const double = () => ((this.next() & 0x1fffff) * 2 ** 32 + this.next()) / 2 ** 53;
      const angle = 2 * Math.PI * double(), radius = Math.sqrt(-2 * Math.log1p(-double()));
      this.kept = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    }
  }

  function boxMuller(x, from) {
    for (let j = from; j < from + 8; j++) {
      const radius = Math.sqrt(-2 * Math.log(1 - x[j])), angle = 2 * Math.PI * x[j + 8];
      x[j] = radius * Math.cos(angle);
      x[j + 8] = radius * Math.sin(angle);
    }
  }

  // ---- The model -----------------------------------------------------------------------------

  class Model {
    constructor(buffer) {
      const { tensors, meta } = readSafetensors(buffer);
      if (!meta.prompts || !tensors["schedule.betas"]) {
        throw new Error("The file is not a tiny-mnist-sd for the page. Write one with `mnistdiff export web`.");
      }
      Object.assign(this, { tensors, meta, plain: new Map(), strengths: "{}" });
      let product = 1;
      this.abar = tensors["schedule.betas"].data.map((beta) => (product *= Math.fround(1 - beta)));
    }

    layer(name) {
      return { weight: this.tensors[`${name}.weight`], bias: this.tensors[`${name}.bias`] };
    }

    get loras() {
      const names = Object.keys(this.tensors).filter((name) => name.startsWith("loras."));
      return [...new Set(names.map((name) => name.split(".")[1]))];
    }

    setLoras(strengths) { // W + strength alpha / rank B A, from the plain weights
      const unknown = Object.keys(strengths).find((name) => !this.loras.includes(name));
      if (unknown) throw new Error(`there is no LoRA ${quoted(unknown)}. The model has: ${this.loras.join(", ") || "none"}.`);
      const wrong = Object.values(strengths).find((strength) => !Number.isFinite(strength));
      if (wrong !== undefined) throw new Error(`a LoRA's strength is ${wrong}; it must be a finite number.`);
      if (JSON.stringify(strengths) === this.strengths) return;
      this.plain.forEach((data, name) => (this.tensors[name].data = data));
      for (const [lora, strength] of Object.entries(strengths)) {
        for (const key of Object.keys(this.tensors)) {
          const match = key.match(/^loras\.([^.]+)\.diffusion_model\.(.+)\.lora_down\.weight$/);
          if (match?.[1] === lora) this.merge(match[2], key.replace(".lora_down.weight", ""), strength);
        }
      }
      this.strengths = JSON.stringify(strengths);
    }

    merge(layer, stem, strength) {
      const name = `eps_mlp.${layer}.weight`, tensor = this.tensors[name];
      const { data: up } = this.tensors[`${stem}.lora_up.weight`];
      const { data: down, shape: [rank, width] } = this.tensors[`${stem}.lora_down.weight`];
      const scale = (strength * this.tensors[`${stem}.alpha`].data[0]) / rank;
      if (!this.plain.has(name)) this.plain.set(name, tensor.data);
      tensor.data = tensor.data.map((value, at) => {
        const row = Math.floor(at / width), column = at % width;
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += up[row * rank + k] * down[k * width + column];
        return value + scale * sum;
      });
    }

    // The normalised CLIP embedding, or the null condition for a prompt without a digit.
    encode(prompt) {
      const { words, digit } = wordsOf(prompt, this.meta.prompts);
      if (digit === null) return this.tensors["eps_mlp.null_cond"].data;
      const tokens = [...words.map((word) => this.meta.prompts.vocabulary.indexOf(word)), 1];
      const { data: table, shape: [, width] } = this.tensors["clip.text_encoder.words.weight"];
      const positions = this.tensors["clip.text_encoder.positions"].data;
      let h = new Float32Array(tokens.length * width);
      tokens.forEach((token, row) => {
        for (let i = 0; i < width; i++) h[row * width + i] = table[token * width + i] + positions[row * width + i];
      });
      for (let i = 0; i < this.meta.clip.text_layers; i++) h = this.transformer(`clip.text_encoder.layers.${i}`, h, width);
      const end = layerNorm(h.slice(-width), this.layer("clip.text_encoder.norm"));
      return normalize(linear(end, this.layer("clip.text_encoder.head")));
    }

    transformer(name, h, width) {
      const attention = {
        weight: this.tensors[`${name}.self_attn.in_proj_weight`],
        bias: this.tensors[`${name}.self_attn.in_proj_bias`],
      };
      const qkv = linear(layerNorm(h, this.layer(`${name}.norm1`)), attention);
      h = add(h, linear(causalAttention(qkv, width, this.meta.prompts.heads), this.layer(`${name}.self_attn.out_proj`)));
      const inner = gelu(linear(layerNorm(h, this.layer(`${name}.norm2`)), this.layer(`${name}.linear1`)));
      return add(h, linear(inner, this.layer(`${name}.linear2`)));
    }

    // v for each row of x at one timestep; conds are the rows' conditions.
    predict(x, t, conds) {
      const time = this.two("eps_mlp.time", timestepEmbedding(t, this.meta.eps_mlp.emb_dim));
      const emb = silu(Float32Array.from(conds.flatMap((cond) => [...add(time, this.two("eps_mlp.cond", cond))])));
      let h = linear(x, this.layer("eps_mlp.stem"));
      for (let i = 0; i < this.meta.eps_mlp.blocks; i++) h = this.block(`eps_mlp.blocks.${i}`, h, emb, conds.length);
      return linear(layerNorm(h, this.layer("eps_mlp.head.0")), this.layer("eps_mlp.head.1"));
    }

    two(name, x) {
      return linear(silu(linear(x, this.layer(`${name}.0`))), this.layer(`${name}.2`));
    }

    block(name, h, emb, rows) {
      const change = linear(emb, this.layer(`${name}.emb`)), width = h.length / rows;
      const inner = layerNorm(h, this.layer(`${name}.norm`)).map((value, at) => {
        const scale = Math.floor(at / width) * 2 * width + (at % width);
        return change[scale + width] + value * (1 + change[scale]);
      });
      return add(h, linear(silu(linear(inner, this.layer(`${name}.inner`))), this.layer(`${name}.outer`)));
    }

    decode(latent) {
      let h = linear(latent.map((value) => value / this.meta.scaling_factor), this.layer("vae.decoder.0"));
      const { blocks } = this.meta.vae;
      for (let i = 1; i <= blocks; i++) {
        const body = `vae.decoder.${i}.body`, normed = layerNorm(h, this.layer(`${body}.0`));
        h = add(h, linear(gelu(linear(normed, this.layer(`${body}.1`))), this.layer(`${body}.3`)));
      }
      h = layerNorm(h, this.layer(`vae.decoder.${blocks + 1}`));
      return linear(h, this.layer(`vae.decoder.${blocks + 2}`)).map((logit) => 1 / (1 + Math.exp(-4 * logit)));
    }
  }

  function causalAttention(qkv, width, heads) {
    const rows = qkv.length / (3 * width), size = width / heads, out = new Float32Array(rows * width);
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const q = row * 3 * width + head * size, scores = [];
        for (let other = 0; other <= row; other++) {
          let score = 0;
          for (let i = 0; i < size; i++) score += qkv[q + i] * qkv[other * 3 * width + width + head * size + i];
          scores.push(score / Math.sqrt(size));
        }
        const top = Math.max(...scores), weights = scores.map((score) => Math.exp(score - top));
        const sum = weights.reduce((a, b) => a + b);
        weights.forEach((weight, other) => {
          const v = other * 3 * width + 2 * width + head * size;
          for (let i = 0; i < size; i++) out[row * width + head * size + i] += (weight / sum) * qkv[v + i];
        });
      }
    }
    return out;
  }

  function timestepEmbedding(t, dim) {
    const half = dim / 2, { fround } = Math, x = new Float32Array(dim);
    for (let i = 0; i < half; i++) {
      const angle = fround(t * fround(Math.exp(fround(fround(-Math.log(10000) * i) / half))));
      x[i] = Math.cos(angle);
      x[half + i] = Math.sin(angle);
    }
    return x;
  }

  // ---- Samplers ------------------------------------------------------------------------------

  const SAMPLERS = ["ddim", "ddpm", "dpmpp_2m"];

  function roundHalfToEven(x) {
    const down = Math.floor(x);
    return x - down === 0.5 ? down + (down % 2) : Math.round(x);
  }

  function check(value, name, fits, expected) {
    if (!fits) throw new Error(`${name} is ${typeof value === "string" ? quoted(value) : value}; ${expected}`);
  }

  function checked(model, options) {
    const { defaults } = model.meta, total = model.abar.length;
    const settings = {
      negative: "", guidanceScale: defaults.guidance_scale, guidanceSpan: defaults.guidance_span,
      steps: defaults.num_inference_steps, sampler: "ddim", eta: 0, seed: 0, loras: {}, noise: null, onStep: null,
    };
    const unknown = Object.keys(options).find((name) => !(name in settings));
    if (unknown) throw new Error(`there is no option ${quoted(unknown)}; there are: ${Object.keys(settings).join(", ")}.`);
    for (const [name, value] of Object.entries(options)) if (value !== undefined) settings[name] = value;
    const { steps, sampler, guidanceScale, eta, seed, noise } = settings;
    check(steps, "num_inference_steps", Number.isInteger(steps) && steps >= 1 && steps <= total,
      `it must be a whole number from 1 to the ${total} timesteps of training.`);
    check(sampler, "sampler", SAMPLERS.includes(sampler), `it must be one of ${SAMPLERS.join(", ")}.`);
    check(guidanceScale, "guidance_scale", Number.isFinite(guidanceScale) && guidanceScale >= 0,
      "it must be a number >= 0; 1 means no guidance.");
    check(eta, "eta", eta >= 0 && eta <= 1, "it must be in [0, 1]: 0 is DDIM, 1 is DDPM.");
    check(seed, "seed", Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, `it must be a whole number from 0 to ${2 ** 32 - 1}.`);
    if (sampler === "dpmpp_2m" && eta) throw new Error(`eta is ${eta}, but DPM-Solver++ is deterministic; eta must be 0.`);
    const size = model.meta.eps_mlp.latent_dim;
    if (noise && noise.length !== size) throw new Error(`noise has ${noise.length} numbers, expected ${size}.`);
    return settings;
  }

  // The next x_t from x_t and the predicted v, for step i.
  function stepper(settings, abar, generator) {
    const { sampler } = settings, eta = sampler === "ddpm" ? 1 : settings.eta;
    if (sampler === "dpmpp_2m") return dpmpp2m(abar);
    return (i, x, v) => {
      const [a, p] = [abar[i], abar[i + 1]];
      const sigma = eta ? eta * Math.sqrt(((1 - p) / (1 - a)) * (1 - a / p)) : 0;
      const toX0 = Math.sqrt(p), toEps = Math.sqrt(Math.max(1 - p - sigma * sigma, 0));
      const signal = Math.sqrt(a), noise = Math.sqrt(1 - a);
      const keep = toX0 * signal + toEps * noise, direction = toEps * signal - toX0 * noise;
      const drawn = sigma > 0 ? generator.randn(x.length) : null;
      return x.map((value, k) => keep * value + direction * v[k] + (drawn ? sigma * drawn[k] : 0));
    };
  }

  function dpmpp2m(abar) {
    const halfLogSnr = abar.map((a) => 0.5 * Math.log(a / (1 - a))); // infinite for the clean image
    const length = halfLogSnr.slice(1).map((after, i) => after - halfLogSnr[i]);
    let last = null;
    return (i, x, v) => {
      const x0 = predictX0(x, v, abar[i]), weight = last && i < length.length - 1 ? (0.5 * length[i]) / length[i - 1] : 0;
      const before = last ?? x0;
      last = x0;
      const ratio = Math.sqrt((1 - abar[i + 1]) / (1 - abar[i])), shrink = Math.sqrt(abar[i + 1]) * -Math.expm1(-length[i]);
      return x.map((value, k) => ratio * value + shrink * ((1 + weight) * x0[k] - weight * before[k]));
    };
  }

  const predictX0 = (x, v, a) => x.map((value, k) => Math.sqrt(a) * value - Math.sqrt(1 - a) * v[k]);

  async function sampleWith(model, prompt, options = {}) {
    const settings = checked(model, options), { steps, guidanceScale: scale, guidanceSpan: [low, high] } = settings;
    const total = model.abar.length;
    const cond = model.encode(prompt), uncond = model.encode(settings.negative);
    model.setLoras(Object.fromEntries(Object.entries(settings.loras).filter(([, strength]) => strength !== 0)));
    const timesteps = Array.from({ length: steps }, (_, i) => roundHalfToEven(total - (i * total) / steps) - 1);
    const abar = [...timesteps.map((t) => model.abar[t]), 1];
    const generator = new Generator(settings.seed);
    let x = settings.noise ? Float32Array.from(settings.noise) : generator.randn(model.meta.eps_mlp.latent_dim);
    const step = stepper(settings, abar, generator);
    for (let i = 0; i < steps; i++) {
      const t = timesteps[i], place = (t * 1000) / total;
      let v;
      if (scale === 1 || place < low || place >= high) {
        v = model.predict(x, t, [cond]);
      } else {
        const both = model.predict(Float32Array.of(...x, ...x), t, [uncond, cond]);
        v = x.map((_, k) => both[k] + scale * (both[x.length + k] - both[k]));
      }
      if (settings.onStep) await settings.onStep({ step: i, t, latent: x, x0: predictX0(x, v, abar[i]) });
      x = step(i, x, v);
    }
    if (settings.onStep) await settings.onStep({ step: steps, t: -1, latent: x, x0: x });
    return model.decode(x);
  }

  // ---- The interface: window.mnistdiff -------------------------------------------------------

  let loading = null, received = null, last = Promise.resolve();

  function bytesOf(base64) {
    const text = atob(base64), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes.buffer;
  }

  function fetchScript(url) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      received = null;
      script.src = url;
      script.onload = () => (received ? resolve(received) : reject(new Error(`The weights at ${url} are cut off. Load the page again.`)));
      script.onerror = () => reject(new Error(`The weights could not be loaded from ${url}. Check the connection, and try again.`));
      document.head.append(script);
    });
  }

  async function start(source) {
    const text = source instanceof Blob && source.name?.endsWith(".js") ? (await source.text()).match(/"([A-Za-z0-9+/=]+)"/)?.[1] : null;
    if (text) return new Model(bytesOf(text));
    if (source instanceof Blob) return new Model(await source.arrayBuffer());
    return new Model(bytesOf(await fetchScript(source)));
  }

  window.mnistdiff = {
    SAMPLERS,
    Generator,
    // Load the weights once and return the model; a file or a URL replaces the shipped ones.
    async load(source) {
      if (!source && loading) return loading;
      const next = start(source ?? new URL(WEIGHTS, folder).href), before = loading;
      loading = next;
      next.catch(() => (loading = before)); // another try is possible
      return next;
    },
    sample(prompt, options) { // one at a time: a LoRA changes the weights
      const run = last.then(() => window.mnistdiff.load()).then((model) => sampleWith(model, prompt, options));
      last = run.catch(() => {});
      return run;
    },
    receive(base64) { // called by the script of weights
      received = base64;
    },
  };
})();
