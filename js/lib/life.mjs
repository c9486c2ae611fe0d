// Hooks into the life cycle of nodes.

import { api } from "../../../scripts/api.js";

/** Calls `then` with the same arguments after the node's own callback `name`. */
export function chain(node, name, then) {
    const before = node[name];
    node[name] = function (...given) {
        const result = before?.apply(this, given);
        then.apply(this, given);
        return result;
    };
}

/**
 * Calls `start` when the node is added to a graph and `stop` when it is removed.
 *
 * Both may happen several times, or never: copies for the clipboard and for subgraphs are not added to a graph.
 */
export function lives(node, start, stop) {
    let isAlive = false;
    chain(node, "onAdded", () => {
        if (!isAlive) start();
        isAlive = true;
    });
    chain(node, "onRemoved", () => {
        if (isAlive) stop();
        isAlive = false;
    });
}

/** Calls `refresh` when the node is added to a graph and whenever the graph changes, and `end` when it is removed. */
export function keepUp(node, refresh, end) {
    const stop = () => {
        api.removeEventListener("graphChanged", heard);
        end();
    };
    const heard = () => isPlaced(node) ? refresh() : stop();
    const start = () => {
        api.addEventListener("graphChanged", heard);
        refresh();
    };
    lives(node, start, stop);
}

/** Whether the node is in the open workflow. Nodes in subgraphs are not notified when the workflow is closed. */
export function isPlaced(node) {
    const root = node.graph?.rootGraph;
    if (!root) return false;
    const graph = node.graph === root ? root : root.subgraphs.get(node.graph.id);
    return graph === node.graph && graph.getNodeById(node.id) === node;
}
