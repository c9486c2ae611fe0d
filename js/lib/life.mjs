// A node's life, as features take part in it.

import { api } from "../../../scripts/api.js";

/** Calls `then` with the same arguments after what the node does already when `name` happens to it. */
export function chain(node, name, then) {
    const before = node[name];
    node[name] = function (...given) {
        const result = before?.apply(this, given);
        then.apply(this, given);
        return result;
    };
}

/**
 * Calls `start` when the node comes into a graph and `stop` when it leaves it.
 *
 * A node may do so several times, and many are made that never do: copies for the clipboard, and for subgraphs.
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

/** Calls `refresh` when the node comes into a graph and whenever that changes, and `end` when it has left. */
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

/** Whether the node is in the open workflow. What is in a subgraph is not told when the workflow is closed. */
export function isPlaced(node) {
    const root = node.graph?.rootGraph;
    if (!root) return false;
    const graph = node.graph === root ? root : root.subgraphs.get(node.graph.id);
    return graph === node.graph && graph.getNodeById(node.id) === node;
}
