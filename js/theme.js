// Tells the server whether this window's theme is dark, so that plots and sheets of its runs are drawn on dark too.

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { post } from "./lib/requests.mjs";

let told = ""; // what the server knows

app.registerExtension({
    name: "fluxduet.Theme",

    setup() {
        new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["class"] });
        api.addEventListener("status", tell); // the first brings the window's id
        api.addEventListener("reconnected", () => { // perhaps to a server that was started again
            told = "";
            tell();
        });
        tell();
    },
});

function tell() {
    const theme = { client: api.clientId, dark: document.documentElement.classList.contains("dark-theme") };
    const now = JSON.stringify(theme);
    if (!theme.client || now === told) return;
    told = now;
    post("/flux_duet/theme", theme).catch(() => told = ""); // the next status tries again; until then plots are white
}
