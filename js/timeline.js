// Prompt Schedule's timelines as tracks: which prompt is active when, for each stream. The text boxes stay what is
// saved and run; the tracks show and edit them.

import { app } from "../../scripts/app.js";
import { STREAMS } from "./lib/palette.mjs";
import { Timeline } from "./timeline/view.mjs";

const { clip, t5 } = STREAMS;
const NODES = {
    FluxDuetSchedule: [
        { ...clip, widget: "clip_timeline", socket: "vec" },
        { ...t5, widget: "t5_timeline", socket: "txt" },
    ],
    FluxDuetScheduleText: [
        { ...clip, widget: "clip_text", socket: null },
        { ...t5, widget: "t5_text", socket: null },
    ],
};
const WIDTH = 440;
const TALLER = 40;

app.registerExtension({
    name: "fluxduet.Timeline",

    nodeCreated(node) {
        const streams = NODES[node.comfyClass];
        if (!streams) return;
        new Timeline(node, streams);
        const [width, height] = node.computeSize();
        node.setSize([Math.max(width, WIDTH), height + TALLER]); // room for the text boxes too
    },
});
