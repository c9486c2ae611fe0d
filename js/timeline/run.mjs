// Finds the run of a CONDITIONING from the graph: its steps, its schedule, its model's shift.

import { DEV_SHIFT, MU_TOKENS, TOKEN } from "../lib/flux1_sizes.mjs";
import { modelsOf, samplers, setting } from "../lib/runs.mjs";
import { source } from "../lib/walk.mjs";
import { TEXTS } from "./texts.mjs";

export const ASSUMED = { steps: 20, sampler: "euler", scheduler: "simple", denoise: 1, shift: DEV_SHIFT };

// Samplers and scheduler nodes, with the names of their widgets and inputs.
const PLANS = {
    FluxDuetSampler: { steps: "steps", sampler: "sampler", scheduler: "scheduler", denoise: "denoise",
        latent: "latent" },
    KSampler: { steps: "steps", sampler: "sampler_name", scheduler: "scheduler", denoise: "denoise",
        latent: "latent_image" },
    KSamplerAdvanced: { steps: "steps", sampler: "sampler_name", scheduler: "scheduler", latent: "latent_image" },
    BasicScheduler: { steps: "steps", scheduler: "scheduler", denoise: "denoise" },
    FluxDuetSigmas: { steps: "steps", denoise: "denoise", latent: "latent" },
};

/**
 * { plan, description, title, isKnown }: the request's fields, a description, and the title of the node that they come
 * from, null if there is none and the plan is assumed; `isKnown` is whether nothing of it is assumed.
 */
export function runOf(node) {
    const given = source(node, "sigmas")?.node;
    const maker = given ?? [...samplers(node)].map(schedulerOf).find(Boolean);
    if (!maker) return { plan: ASSUMED, description: [TEXTS.run.none()], title: null, isKnown: false };
    const names = PLANS[maker.comfyClass];
    if (!names) return { plan: ASSUMED, description: [TEXTS.run.opaque(maker.title)], title: null, isKnown: false };
    const { values, unknown } = read(maker, names);
    const model = modelOf(node, maker);
    const size = sizeOf(maker, names.latent);
    const plan = { ...ASSUMED, ...values, shift: model.shift };
    if (maker.comfyClass === "FluxDuetSigmas") plan.scheduler = "official";
    const description = [TEXTS.run.steps(plan.steps), plan.scheduler];
    if (plan.denoise < 1) description.push(TEXTS.run.denoise(plan.denoise));
    description.push(model.description);
    if (plan.scheduler === "official") Object.assign(plan, official(maker, size, description));
    if (unknown.length) description.push(TEXTS.run.guessed(unknown.join(", ")));
    return { plan, description, title: maker.title, isKnown: !unknown.length };
}

/** The sampler itself, or the node that makes its sigmas; null for a node that does not sample. */
function schedulerOf(sampler) {
    if (sampler.comfyClass in PLANS) return sampler;
    return sampler.inputs?.some(input => input.name === "sigmas") ? source(sampler, "sigmas")?.node : null;
}

/** The widgets' values, and the names of widgets whose linked values are unknown. */
function read(node, names) {
    const values = {}, unknown = [];
    for (const [name, widget] of Object.entries(names)) {
        if (name === "latent") continue;
        const value = setting(node, widget);
        if (value === undefined) unknown.push(name);
        else values[name] = value;
    }
    return { values, unknown };
}

/** The shift of FLUX.1's official schedule: by Flux Sigmas' widgets, or by the picture's size. */
function official(maker, size, description) {
    const { width, height } = size ?? { width: 1024, height: 1024 };
    const kind = maker.comfyClass === "FluxDuetSigmas" ? setting(maker, "shift") : "dev";
    if (kind === "schnell") return { mu: null };
    if (kind === "fixed") return { mu: setting(maker, "mu") };
    description.push(size ? `${width} x ${height}` : TEXTS.run.assumedSize());
    return { width, height };
}

function sizeOf(maker, latent) {
    const from = latent && source(maker, latent)?.node;
    const [width, height] = ["width", "height"].map(name => from ? setting(from, name) : undefined);
    return width > 0 && height > 0 ? { width, height } : null;
}

// ComfyUI's nodes that change a model's shift.
const PATCHES = { ModelSamplingFlux: patchedShift };

/** The model's { shift, description }, from its file and the nodes that it passes. */
function modelOf(node, maker) {
    const { model } = TEXTS.run;
    for (const at of modelsOf([node, maker, ...samplers(node)])) {
        const shift = PATCHES[at.comfyClass]?.(at);
        if (Number.isFinite(shift)) return { shift, description: model.patched(Number(shift.toFixed(3))) };
        if (at.widgets?.some(widget => /schnell/i.test(widget.value))) return { shift: null, description: model.schnell() };
    }
    return { shift: DEV_SHIFT, description: model.dev() };
}

/** As in ComfyUI's node: a line through `base` and `max` at these numbers of image tokens. */
function patchedShift(node) {
    const [most, base, width, height] = ["max_shift", "base_shift", "width", "height"].map(name => setting(node, name));
    const [few, many] = MU_TOKENS;
    return base + (width * height / TOKEN ** 2 - few) * (most - base) / (many - few);
}
