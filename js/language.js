// Sets the panels' language to that of ComfyUI's settings. The front end waits for `init` before it creates nodes.

import { app } from "../../scripts/app.js";
import { speak } from "./lib/words.mjs";

const ENGLISH = "en";

app.registerExtension({
    name: "fluxduet.Language",

    async init() {
        const language = app.extensionManager.setting.get("Comfy.Locale") ?? ENGLISH;
        if (language !== ENGLISH) speak(await table(language));
    },
});

/** The translations of a language; none if there is no such file. */
async function table(language) {
    try {
        const response = await fetch(new URL(`./languages/${language}.json`, import.meta.url));
        return response.ok ? await response.json() : {};
    } catch {
        return {};
    }
}
