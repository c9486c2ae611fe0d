// The text and settings that a node would encode now, from the graph: its own or linked ones.

import { sent, unchanged } from "../lib/sent.mjs";
import { source } from "../lib/walk.mjs";
import { isLinked, valueOf } from "../lib/widgets.mjs";
import { clipPositions } from "./encoder.mjs";
import { FIRST } from "./flow.mjs";

// The front end's nodes that output the value of their single widget.
const PLAIN = ["PrimitiveNode", "PrimitiveString", "PrimitiveStringMultiline", "PrimitiveBoolean"];
const STREAMS = {
    FluxDuetClipEncode: { stream: "CLIP", names: ["past_75", "weights"] },
    FluxDuetT5Encode: { stream: "T5", names: ["length", "weights"] },
};

/** The node types with a prompt box, and the widgets that affect its tokens. */
export const KINDS = Object.keys(STREAMS);
export const widgetsOf = node => ["text", ...STREAMS[node.comfyClass].names];

/**
 * { request, sent, past, encoder, follows, unknown}: `request` is the body for the route, null if the text is unknown;
 * `sent` is what becomes of the text when the workflow is queued.
 *
 * `follows` is whether another node's widget is used; `unknown` are the labels of settings whose linked values are
 * unknown.
 */
export function promptOf(node) {
    const { stream, names } = STREAMS[node.comfyClass];
    const [text, ...settings] = ["text", ...names].map(name => read(node, name));
    const values = Object.fromEntries(names.map((name, index) => [name, settings[index].value]));
    const encoder = stream === "CLIP" ? clipPositions(node) : null;
    const fields = stream === "CLIP"
        ? { clip_weights: values.weights, clip_positions: encoder.positions }
        : { length: values.length, t5_weights: values.weights };
    const out = (text.isDynamic ? sent : unchanged)(String(text.value ?? ""));
    return {
        request: text.isHidden ? null : { text: out.text, roads: stream, ...fields },
        sent: out,
        past: values.past_75 ?? FIRST,
        length: values.length,
        encoder,
        follows: [text, ...settings].some(one => one.follows),
        unknown: settings.filter(one => one.isHidden).map(one => one.label),
    };
}

function read(node, name) {
    const own = node.widgets.find(widget => widget.name === name), value = valueOf(node, name);
    if (!isLinked(node, name)) return { value, isDynamic: own?.dynamicPrompts };
    const from = source(node, name);
    const widget = from?.host?.getWidgetFromSlot?.(from.input) ?? plainWidget(from?.node);
    if (!widget) return { value, isHidden: true, label: own?.label ?? name };
    return { value: widget.value, isDynamic: widget.dynamicPrompts, follows: true };
}

function plainWidget(node) {
    return PLAIN.includes(node?.comfyClass ?? node?.type) ? node.widgets?.[0] : null;
}
