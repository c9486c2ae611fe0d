// Creates DOM elements.

/** `<tag>` with properties (including `dataset`, `style` and `aria-*`) and children; strings become text nodes. */
export function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name === "dataset" || name === "style") Object.assign(made[name], value);
        else if (name.startsWith("aria-") || name === "role") made.setAttribute(name, value);
        else made[name] = value;
    }
    made.append(...children);
    return made;
}

/** A style sheet for shadow roots; all nodes share one object. */
export function styles(css) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    return sheet;
}
