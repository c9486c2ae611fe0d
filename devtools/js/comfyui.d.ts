// What js/ uses of ComfyUI's front end, for the type checker alone: these modules are served by ComfyUI, not by us.
// A hook or member that is missing here is an error in js/, so that a misspelt one cannot pass for one never called.
// The front end publishes no types of its own for them; nodes and graphs are LiteGraph's and stay untyped.

type ComfyNode = any; // an LGraphNode
type Graph = any;

interface Extension {
    name: string;
    init?(): Promise<void>;
    setup?(): void;
    nodeCreated?(node: ComfyNode): void;
    loadedGraphNode?(node: ComfyNode): void;
    afterConfigureGraph?(): void;
    onNodeOutputsUpdated?(outputs: Record<string, any>): void;
}

interface Canvas {
    constructor: { link_type_colors: Record<string, string> };
    default_connection_color_byType: Record<string, string>;
    selectedItems: Set<any>;
    emitBeforeChange(): void;
    emitAfterChange(): void;
    convertEventToCanvasOffset(event: PointerEvent): [number, number];
    setDirty(foreground: boolean, background?: boolean): void;
}

interface App {
    registerExtension(extension: Extension): void;
    canvas: Canvas;
    configuringGraph: boolean;
    graph: Graph;
    rootGraph?: Graph;
    nodeOutputs?: Record<string, any>;
    extensionManager: {
        setting: { get(name: string): any };
        toast: { add(message: { severity: string; summary: string; detail: string }): void };
    };
}

interface Api {
    addEventListener(kind: string, heard: (event: CustomEvent) => void): void;
    removeEventListener(kind: string, heard: (event: CustomEvent) => void): void;
    apiURL(route: string): string;
    clientId?: string;
    fetchApi(route: string, options?: RequestInit): Promise<Response>;
}

interface Window {
    LiteGraph: { vueNodesMode: boolean };
    comfyAPI?: { utils?: { applyTextReplacements?(app: App, text: string): string } };
}

declare module "*/scripts/app.js" {
    export const app: App;
}

declare module "*/scripts/api.js" {
    export const api: Api;
}
