// Prompt Schedule's timelines as tracks: which prompt plays when, on each road. The text boxes stay what is saved and
// run; the tracks show and edit them.

import { app } from "../../scripts/app.js";
import { ROADS } from "./lib/palette.mjs";
import { Timeline } from "./timeline/view.mjs";

const { clip, t5 } = ROADS;
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
const TALLER = 90;

app.registerExtension({
    name: "fluxduet.Timeline",

    nodeCreated(node) {
        const roads = NODES[node.comfyClass];
        if (!roads) return;
        new Timeline(node, roads);
        const [width, height] = node.computeSize();
        node.setSize([Math.max(width, WIDTH), height + TALLER]); // room for the text boxes too
    },
});
