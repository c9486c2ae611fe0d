// Follows links as a run does: through reroutes, into and out of subgraphs.

import { app } from "../../../scripts/app.js";

const FAR = 100; // the longest chain that is followed, to stop at loops

/**
 * The source of an input, given by name or index: { node, slot }, with the index of that node's output.
 *
 * For a subgraph's input that is not linked outside: { host, input }, the subgraph's node and its input, which may have
 * a widget. Null if there is no source, or if the subgraph is used more than once.
 */
export function source(node, input, hops = 0) {
    const slot = typeof input === "number" ? input : slotNamed(node.inputs, input);
    return hops > FAR ? null : origin(node.graph, linkInto(node, slot), hops + 1);
}

function origin(graph, link, hops) {
    if (!link || hops > FAR) return null;
    if (link.originIsIoNode) {
        const [host, ...others] = hostsOf(graph);
        if (!host || others.length) return null;
        const slot = slotNamed(host.inputs, graph.inputs[link.origin_slot]?.name);
        return linkInto(host, slot) ? source(host, slot, hops) : { host, input: host.inputs[slot] };
    }
    const from = graph.getNodeById(link.origin_id);
    if (from?.type === "Reroute") return source(from, 0, hops);
    if (from?.isSubgraphNode?.()) {
        const inner = from.subgraph.outputs[slotNamed(from.subgraph.outputs, from.outputs[link.origin_slot].name)];
        return origin(from.subgraph, from.subgraph.getLink(inner?.linkIds[0]), hops + 1);
    }
    return from ? { node: from, slot: link.origin_slot } : null;
}

/** All inputs that an output is linked to, as { node, slot }. */
export function* targets(node, slot, hops = 0) {
    yield* ends(node.graph, node.outputs[slot]?.links ?? [], hops);
}

function* ends(graph, ids, hops) {
    if (hops > FAR) return;
    for (const id of ids) {
        const link = graph.getLink(id);
        if (!link) continue;
        if (link.targetIsIoNode) {
            const output = graph.outputs[link.target_slot];
            for (const host of hostsOf(graph)) yield* targets(host, slotNamed(host.outputs, output?.name), hops + 1);
            continue;
        }
        const to = graph.getNodeById(link.target_id);
        if (to?.type === "Reroute") {
            yield* targets(to, 0, hops + 1);
        } else if (to?.isSubgraphNode?.()) {
            const inner = to.subgraph.inputs[slotNamed(to.subgraph.inputs, to.inputs[link.target_slot].name)];
            yield* ends(to.subgraph, inner?.linkIds ?? [], hops + 1);
        } else if (to) {
            yield { node: to, slot: link.target_slot };
        }
    }
}

/** Used instead of `getInputLink`, which returns an inner link for a subgraph's node. */
function linkInto(node, slot) {
    const id = node.inputs[slot]?.link;
    return id == null ? null : node.graph.getLink(id);
}

/** The node with an id as in a run: in a subgraph, the ids of the nodes around it come first, as in "12:3". */
export function nodeAt(id) {
    let graph = app.rootGraph ?? app.graph, node = null;
    for (const part of String(id).split(":")) {
        node = graph?.getNodeById(part) ?? graph?.getNodeById(Number(part)) ?? null;
        graph = node?.subgraph;
    }
    return node;
}

const slotNamed = (slots, name) => slots.findIndex(slot => slot.name === name);

/** All nodes that represent this subgraph, in any graph. */
function hostsOf(graph) {
    const root = graph.rootGraph;
    const graphs = [root, ...root.subgraphs.values()];
    return graphs.flatMap(each => each.nodes.filter(node => node.isSubgraphNode?.() && node.subgraph === graph));
}
