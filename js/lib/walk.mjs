// Links as a run follows them: through reroutes and across the borders of subgraphs.

const FAR = 100; // more than any graph has in a line; ends a loop

/**
 * What feeds an input, named or counted: { node, slot } with the slot counted among that node's outputs.
 *
 * At the border of a subgraph that nothing is linked to from outside, { host, input }: the subgraph's node and its
 * input, which may have a widget. Null if nothing feeds it, or if its subgraph is used more than once.
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

/** Every input that an output feeds, as { node, slot }. */
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

/** Not `getInputLink`: a subgraph's node answers that with a link of its inside. */
function linkInto(node, slot) {
    const id = node.inputs[slot]?.link;
    return id == null ? null : node.graph.getLink(id);
}

const slotNamed = (slots, name) => slots.findIndex(slot => slot.name === name);

/** The nodes that stand for a subgraph, wherever they are. */
function hostsOf(graph) {
    const root = graph.rootGraph;
    const graphs = [root, ...root.subgraphs.values()];
    return graphs.flatMap(each => each.nodes.filter(node => node.isSubgraphNode?.() && node.subgraph === graph));
}
